"""The page of the local service, over HTTP: what is stored, for browsers.

A web page elsewhere can aim a browser at us in two ways. By DNS rebinding it can even
read the answer, but then Host has the name of that page. Plainly it can send and not
read, but then Origin or Sec-Fetch-Site tell of it. Both are refused, no answer lets
another origin read it, and the only thing that can be changed, a login, takes a header
that other origins cannot send without being asked for permission, which none gets.
"""

import collections
import contextlib
import hmac
import http
import http.server
import io
import ipaddress
import json
import os
import re
import secrets
import socket
import socketserver
import sys
import threading
import time
import urllib.parse

from googlecloudprofiler import _peer, _selection, _store

MAX_CONNECTIONS = 64
MAX_LINE = 8192  # of a request's first line
MAX_HEAD_BYTES = 32768  # with all headers, of which http.client takes a hundred
MAX_BODY_BYTES = 4096  # a token
REQUEST_S = 10.0  # from connecting to the last byte of the request
PAUSE_S = 0.1  # where nobody can be let in, as without descriptors
ANSWER_S = 60.0  # to wait for others' answers, and to take one's own

OURS = "X-Profiler-Page"  # the header that makes browsers ask first

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_NAMES = ("127.0.0.1", "localhost", "[::1]")  # of this host
_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class WebError(Exception):
    """The page cannot be served; the message is one line for a person."""


class _Refusal(Exception):
    def __init__(self, status, words, *headers):
        super().__init__(words)
        self.answer = _Answer(status, "text/plain; charset=utf-8", words, headers)


class _Answer:
    def __init__(self, status, type, body, headers=()):
        self.status = status
        self.type = type
        self.body = body if isinstance(body, bytes) else (body + "\n").encode()
        self.headers = headers


def _json(what):
    return _Answer(200, "application/json", json.dumps(what, separators=(",", ":")))


_Route = collections.namedtuple("_Route", "method secret answer")

Address = collections.namedtuple("Address", "host port loopback")
_ADDRESS = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+):([0-9]{1,5})")


def parse_address(text):
    """The Address that HOST:PORT means; the host may be a name, or [IPv6]."""
    found = _ADDRESS.fullmatch(text.lower())
    if not found or int(found.group(2)) > 65535:
        raise WebError("'%s' is no HOST:PORT for the page" % text)
    host, port = found.group(1), int(found.group(2))
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return Address(host, port, host == "localhost")
    if ip.is_unspecified:
        raise WebError(
            "'%s' has no name: give the one that browsers use, as NAME:%d"
            % (text, port)
        )
    return Address(host, port, ip.is_loopback)


class Server:
    """The page's server, with threads of its own from start() to close().

    address: HOST:PORT; port 0 takes a free one. Anything but loopback takes both
        `tls`, an ssl.SSLContext with a certificate, and `token`, which is asked for
        before anything stored is shown.
    directory: the store's; each answer opens it anew, for looking only.
    decode: bytes to a profile, raising ValueError or RuntimeError.
    endpoint: what programs set to send profiles here; the page tells it.
    warn: takes one line about what went wrong here.

    Raises WebError where it cannot listen.
    """

    def __init__(
        self, address, directory, decode, endpoint, tls=None, token=None, warn=None
    ):
        host, port, loopback = parse_address(address)
        if not loopback and not (tls and token):
            raise WebError(
                "'%s' is not of this host alone: the page takes --tls-cert, --tls-key"
                " and --token there; without them, 127.0.0.1:%d" % (address, port)
            )
        self.directory = directory
        self.decode = decode
        self.endpoint = endpoint
        self.warn = warn or (lambda words: None)
        self.merging = threading.Semaphore(1)
        self.tls = tls
        self.token = token
        # Not the token: cookies are for all ports of a host.
        self.session = secrets.token_urlsafe(32) if token else None
        self._thread = None
        try:
            self._listener = _Listener(self, host, port)
        except OSError as e:
            raise WebError(
                "cannot serve the page on %s: %s: name another place with"
                " --web HOST:PORT, or have none with --web off" % (address, e.strerror)
            ) from e
        self.port = self._listener.server_address[1]
        scheme, usual = ("https", 443) if tls else ("http", 80)
        place = "%s" if self.port == usual else "%%s:%d" % self.port
        names = {host, *_NAMES} if loopback else {host}
        # What Host may say, and what Origin says then.
        self.origins = {place % n: "%s://%s" % (scheme, place % n) for n in names}
        self.url = "%s://%s/" % (scheme, place % host)
        self.cookie = "profiler-%d" % self.port
        self.cookie_words = "; HttpOnly; SameSite=Strict; Path=/" + (
            "; Secure" if tls else ""
        )

    def start(self):
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.2,), daemon=True
        )
        self._thread.start()

    def close(self):
        """Listen no longer. Answers under way end with the process. May be repeated."""
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.server_close()


class _Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, owner, host, port):
        # Whatever the resolver thinks of it.
        host = "127.0.0.1" if host == "localhost" else host.strip("[]")
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self.address_family = family
        self.owner = owner
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        super().__init__(address[:2], _Handler)

    def get_request(self):
        try:
            connection, peer = super().get_request()
        except OSError:
            time.sleep(PAUSE_S)
            raise
        if self.owner.tls is not None:
            # The handshake waits for the peer, so it is the handler's.
            connection = self.owner.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, peer

    def process_request(self, request, client_address):
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        self.owner.warn("the page failed: %r" % sys.exc_info()[1])


class _Wire(io.RawIOBase):
    """The bytes of one connection: no more than `left` are read, and each way has an
    end, however slowly the peer goes on. socket.timeout tells of both."""

    def __init__(self, connection):
        super().__init__()
        self._connection = connection
        self.left = MAX_HEAD_BYTES
        self.within(REQUEST_S)

    def within(self, seconds):
        self._end = time.monotonic() + seconds

    def hurry(self):
        left = self._end - time.monotonic()
        if left <= 0:
            raise socket.timeout("too slow")
        self._connection.settimeout(left)

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        if self.left <= 0:
            raise _Refusal(431, "the request is too large")
        self.hurry()
        room = memoryview(buffer)[: self.left]
        got = self._connection.recv_into(room)
        self.left -= got
        return got

    def write(self, data):
        """All of it."""
        rest = memoryview(data)
        while rest:
            self.hurry()
            rest = rest[self._connection.send(rest[:65536]) :]
        return len(data)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request on one connection."""

    default_request_version = "HTTP/1.0"  # older answers have no headers

    def setup(self):
        self.owner = self.server.owner
        self.wfile = _Wire(self.request)
        self.rfile = io.BufferedReader(self.wfile)
        # Of a request that cannot be read there is no more than this.
        self.command, self.path = None, ""
        self.request_version = self.default_request_version

    def handle(self):
        # Who is gone, too slow, or speaks no TLS, is let go.
        with contextlib.suppress(OSError):
            if self.owner.tls is not None:
                self.wfile.hurry()
                self.request.do_handshake()
            self._send(self._answer())

    def _answer(self):
        try:
            return self._asked()
        except _Refusal as e:
            return e.answer
        except _selection.SelectionError as e:
            return _Refusal(400, str(e)).answer
        except _store.StoreError as e:
            return _Refusal(503, str(e)).answer
        except OSError:
            raise
        except Exception as e:
            self.owner.warn("the page failed at '%s': %r" % (self.path, e))
            return _Refusal(500, "this failed: the service's output says how").answer

    def _asked(self):
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if not self.raw_requestline:
            raise ConnectionError("nothing was asked")
        if len(self.raw_requestline) > MAX_LINE:
            raise _Refusal(414, "the address is too long")
        if not self.parse_request():
            raise ConnectionError("nothing was asked")
        self._check_sender()
        path, _, query = self.path.partition("?")
        route = _ROUTES.get(path)
        if route is None:
            raise _Refusal(404, "there is nothing here: the page is at /")
        allowed = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        if self.command not in allowed:
            words = ", ".join(allowed)
            raise _Refusal(405, "only %s will do here" % words, ("Allow", words))
        if route.secret:
            self._check_reader()
        return route.answer(self, query)

    def send_error(self, code, message=None, explain=None):
        """How parse_request() refuses."""
        raise _Refusal(code, message or http.HTTPStatus(code).phrase)

    def _one(self, name):
        """The value of a header that may be there once."""
        values = self.headers.get_all(name, [])
        if len(values) > 1:
            raise _Refusal(400, "there is more than one %s" % name)
        return values[0] if values else None

    def _check_sender(self):
        """Refuse what another site has a browser send; see the top of the file."""
        host = self._one("Host")
        origin = self.owner.origins.get(host)
        if origin is None:
            raise _Refusal(
                421,
                "this is not the name of the page: open %s (through a tunnel, use the"
                " same port at both ends)" % self.owner.url,
            )
        if self._one("Origin") not in (None, origin):
            raise _Refusal(403, "requests of other sites are refused")
        site = self._one("Sec-Fetch-Site")
        # A link to the page, which shows the other site nothing, may be followed.
        followed = self._one("Sec-Fetch-Mode") == "navigate" and self.path == "/"
        if site not in (None, "same-origin", "none") and not followed:
            raise _Refusal(403, "requests of other sites are refused")

    def _check_reader(self):
        """Who may read what is stored: with a token who has it, without one who may
        read the files, too."""
        if self.owner.token is None:
            if _peer.user(self.request) not in (None, 0, os.geteuid()):
                raise _Refusal(
                    403,
                    "this is another user's: with --token the service shows it to"
                    " who has the token",
                )
        elif not self._is_known():
            raise _Refusal(401, "the page needs the service's token")

    def _is_known(self):
        scheme, _, token = (self._one("Authorization") or "").partition(" ")
        if scheme == "Bearer":
            return _same(token, self.owner.token)
        for cookie in (self._one("Cookie") or "").split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == self.owner.cookie and _same(value, self.owner.session):
                return True
        return False

    def _body(self):
        length = self._one("Content-Length") or ""
        if self._one("Transfer-Encoding") or not re.fullmatch("[0-9]+", length):
            raise _Refusal(411, "the length of the body must be told")
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            raise _Refusal(413, "the body is too large")
        self.wfile.left = max(self.wfile.left, int(length))
        return self.rfile.read(int(length))

    def _file(self, name, type):
        try:
            with open(os.path.join(_FOLDER, name), "rb") as file:
                return _Answer(200, type, file.read())
        except OSError:
            raise _Refusal(
                503,
                "this build has no page: run 'make page' in the sources and install"
                " again",
            ) from None

    def _page(self, query):
        return self._file("_service.html", "text/html; charset=utf-8")

    def _script(self, query):
        return self._file("_service.js", "text/javascript; charset=utf-8")

    def _style(self, query):
        return self._file("_service.css", "text/css; charset=utf-8")

    def _login(self, query):
        if self._one(OURS) is None:
            raise _Refusal(403, "only the page itself may do this")
        if self.owner.token is None:
            raise _Refusal(404, "no token is needed")
        if not hmac.compare_digest(self._body(), self.owner.token.encode()):
            raise _Refusal(401, "this is not the service's token")
        cookie = "%s=%s%s" % (
            self.owner.cookie,
            self.owner.session,
            self.owner.cookie_words,
        )
        return _Answer(204, "text/plain", b"", [("Set-Cookie", cookie)])

    def _stored(self, query):
        with _store.Store.open_existing(self.owner.directory) as store:
            choices = _selection.choices(store)
            told = {"directory": store.directory, "choices": choices}
        return _json(dict(told, endpoint=self.owner.endpoint, now=int(time.time())))

    def _profiles(self, query):
        selection = _selection.selection(_words(query))
        # One after the other: each may take seconds, and memory.
        if not self.owner.merging.acquire(timeout=ANSWER_S):
            raise _Refusal(503, "others are looking: try again later")
        try:
            with _store.Store.open_existing(self.owner.directory) as store:
                return _json(_selection.merged(store, self.owner.decode, selection))
        finally:
            self.owner.merging.release()

    def _profile(self, query):
        id = _words(query).get("id", "")
        with _store.Store.open_existing(self.owner.directory) as store:
            data = _selection.file_of(store, id)
        if data is None:
            raise _Refusal(404, "there is no profile of this id")
        name = 'attachment; filename="%s.pb.gz"' % id
        headers = [("Content-Disposition", name)]
        return _Answer(200, "application/octet-stream", data, headers)

    def _send(self, answer):
        self.wfile.within(ANSWER_S)
        self.send_response_only(answer.status)
        for name, value in (*_HEADERS, *answer.headers):
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if answer.status != 204:
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)


_ROUTES = {
    "/": _Route("GET", False, _Handler._page),
    "/page.js": _Route("GET", False, _Handler._script),
    "/page.css": _Route("GET", False, _Handler._style),
    "/login": _Route("POST", False, _Handler._login),
    "/stored": _Route("GET", True, _Handler._stored),
    "/profiles": _Route("GET", True, _Handler._profiles),
    "/profile": _Route("GET", True, _Handler._profile),
}


def _words(query):
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError:
        raise _Refusal(400, "the address cannot be read") from None
    if len(dict(pairs)) < len(pairs):
        raise _Refusal(400, "the address says something twice")
    return dict(pairs)


def _same(one, other):
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
