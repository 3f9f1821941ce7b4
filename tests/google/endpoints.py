"""Small servers that tests put on the way: one that gives tokens, one that tunnels."""

import contextlib
import http.server
import json
import select
import socket
import socketserver
import ssl
import threading
import urllib.parse

PATIENCE_S = 60


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self):
        # HTTPServer's own asks the DNS for the name of the machine.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        """A client that went away is none of our errors."""


class _Endpoint:
    """A server in a thread; a context manager. `port` is where it listens."""

    def __init__(self, handler, authority=None, address=("127.0.0.1", 0)):
        self._server = _Server(address, handler)
        self._server.owner = self
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.chain, authority.key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.daemon = True
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class TokenServer(_Endpoint):
    """Answers each POST by the next token of OAuth's.

    `asked` has the form of each request as a dict, `tokens` those given out. `status`
    and `answer` (a text) are what it says instead where they are set.
    """

    def __init__(
        self, authority=None, prefix="ya29.exchanged", address=("127.0.0.1", 0)
    ):
        self.asked = []
        self.tokens = []
        self.prefix = prefix
        self.status = 200
        self.answer = None
        self.life_s = 3599
        super().__init__(_TokenHandler, authority, address)
        self.url = "%s://localhost:%d/token" % (
            "https" if authority else "http",
            self.port,
        )


class _TokenHandler(http.server.BaseHTTPRequestHandler):
    timeout = PATIENCE_S

    def do_POST(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        owner.asked.append(dict(urllib.parse.parse_qsl(body)))
        text = owner.answer
        if text is None:
            owner.tokens.append("%s-%d" % (owner.prefix, len(owner.tokens) + 1))
            text = json.dumps(
                {
                    "access_token": owner.tokens[-1],
                    "expires_in": owner.life_s,
                    "token_type": "Bearer",
                }
            )
        data = text.encode("utf-8")
        self.send_response(owner.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *unused):
        pass


class Proxy(_Endpoint):
    """Tunnels what CONNECT asks for, wherever `to` (a port on this machine) is, or
    where it says. `asked` has each request as (target, headers)."""

    def __init__(self, status=200, to=None):
        self.asked = []
        self.status = status
        self.to = to
        super().__init__(_ProxyHandler)
        self.host = "127.0.0.1:%d" % self.port


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    timeout = PATIENCE_S

    def do_CONNECT(self):
        owner = self.server.owner
        headers = {k.lower(): v for k, v in self.headers.items()}
        owner.asked.append((self.path, headers))
        self.close_connection = True
        if owner.status != 200:
            self.send_response(owner.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        port = owner.to or int(self.path.rpartition(":")[2])
        other = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        with contextlib.closing(other):
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            _carry(self.connection, other)

    def log_message(self, *unused):
        pass


def _carry(one, other):
    """Bytes both ways, until either side is done or nothing comes for long."""
    to = {one: other, other: one}
    while True:
        ready, _, _ = select.select([one, other], [], [], PATIENCE_S)
        for side in ready:
            data = side.recv(65536)
            if not data:
                return
            to[side].sendall(data)
        if not ready:
            return
