"""The page's server: who may ask, what is answered, and what is bounded."""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import stored
from fixtures import openssl
from googlecloudprofiler import _cli, _peer, _web
from stored import Shelf, decode, encoded

PATIENCE_S = 20
TOKEN = "a-token-of-the-tests-own"
FOLDER = os.path.dirname(_web.__file__)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "store")


@pytest.fixture
def start(shelf):
    """start(address, **options) starts a server of the shelf."""
    running = []

    def begin(address="127.0.0.1:0", **options):
        endpoint = "http://127.0.0.1:8181"
        server = _web.Server(address, shelf.directory, decode, endpoint, **options)
        running.append(server)
        server.start()
        return server

    yield begin
    for server in running:
        server.close()


class Reply:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else None
        self.headers = dict(line.split(": ", 1) for line in lines[1:])

    def json(self):
        return json.loads(self.body.decode())


def all_of(connection):
    """What comes until the other side closes; a reset is an end as well."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while True:
            part = connection.recv(65536)
            if not part:
                break
            data += part
    return data


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)


def raw(server, text):
    """The Reply to some bytes; without a status where nothing was answered."""
    with connect(server) as connection:
        connection.sendall(text)
        return Reply(all_of(connection))


def ask(server, path="/stored", method="GET", body=b"", **headers):
    """A request as a browser sends it; headers of None are left out."""
    sent = {"Host": "127.0.0.1:%d" % server.port}
    if body:
        sent["Content-Length"] = len(body)
    sent.update({k.replace("_", "-"): v for k, v in headers.items()})
    lines = ["%s %s HTTP/1.1" % (method, path)]
    lines += ["%s: %s" % (k, v) for k, v in sent.items() if v is not None]
    return raw(server, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


# What is there.


@pytest.mark.parametrize(
    "path, file, type",
    [
        ("/", "_service.html", "text/html"),
        ("/page.js", "_service.js", "text/javascript"),
        ("/page.css", "_service.css", "text/css"),
    ],
)
def test_the_page_is_three_files(start, path, file, type):
    if not os.path.exists(os.path.join(FOLDER, file)):
        pytest.skip("this build has no page")
    reply = ask(start(), path)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith(type)
    with open(os.path.join(FOLDER, file), "rb") as f:
        assert reply.body == f.read()


def test_a_build_without_the_page_says_what_to_do(start, monkeypatch, tmp_path):
    monkeypatch.setattr(_web, "_FOLDER", str(tmp_path))
    reply = ask(start(), "/")
    assert reply.status == 503 and b"make page" in reply.body


def test_the_page_has_no_script_or_style_of_its_own():
    path = os.path.join(FOLDER, "_service.html")
    if not os.path.exists(path):
        pytest.skip("this build has no page")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert re.findall(r"<script[^>]*>[^<]*", text) == ['<script src="page.js">']
    assert "<style" not in text and "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_what_is_stored_and_where_programs_send_it(start, shelf):
    shelf.put(version="1")
    told = ask(start()).json()
    assert told["endpoint"] == "http://127.0.0.1:8181"
    assert told["directory"] == shelf.directory
    (choice,) = told["choices"]
    assert (choice["target"], choice["version"], choice["count"]) == ("web", "1", 1)


def test_what_comes_later_is_there_when_asked_again(start, shelf):
    server = start()
    assert ask(server).json()["choices"] == []
    shelf.put()
    assert len(ask(server).json()["choices"]) == 1


def test_profiles_that_fit(start, shelf):
    shelf.put(version="1")
    wanted = shelf.put(version="2 & more")
    reply = ask(start(), "/profiles?target=web&type=CPU&version=2+%26%20more")
    assert [p["id"] for p in reply.json()["profiles"]] == [wanted]


def test_a_profile_comes_as_it_was_stored(start, shelf):
    data = encoded("main", "work")
    id = shelf.put(data=data)
    reply = ask(start(), "/profile?id=" + id)
    assert reply.body == data
    name = 'attachment; filename="%s.pb.gz"' % id
    assert reply.headers["Content-Disposition"] == name


def test_a_request_without_a_version_has_headers_in_its_answer(start):
    server = start()
    text = b"GET /stored\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
    assert "Content-Security-Policy" in raw(server, text).headers


def test_head_is_get_without_the_body(start):
    server = start()
    get, head = ask(server), ask(server, method="HEAD")
    assert head.status == 200 and head.body == b""
    assert head.headers["Content-Length"] == str(len(get.body))


def test_many_may_ask_at_once(start, shelf):
    shelf.put()
    server = start()
    paths = ["/stored", "/profiles?target=web&type=CPU"] * 10
    seen = []
    threads = [
        threading.Thread(target=lambda p=p: seen.append(ask(server, p).status))
        for p in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * len(paths)


# Who may ask.


def test_each_name_of_this_host_is_one_of_the_page(start):
    server = start()
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert ask(server, Host="%s:%d" % (name, server.port)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test:{port}",
        "127.0.0.1.evil.test:{port}",
        "evil.test@127.0.0.1:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}0",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/", "/stored", "/nothing"])
def test_another_name_is_refused(start, host, path):
    """As after DNS rebinding, where a page of evil.test could read the answer."""
    server = start()
    reply = ask(server, path, Host=host and host.format(port=server.port))
    assert reply.status == 421
    assert server.url.encode() in reply.body


def test_two_names_are_refused(start):
    server = start()
    host = b"Host: 127.0.0.1:%d\r\n" % server.port
    for more in (host, b"Host: evil.test\r\n"):
        reply = raw(server, b"GET /stored HTTP/1.1\r\n" + host + more + b"\r\n")
        assert reply.status == 400


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.test",
        "null",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_another_origin_is_refused(start, origin, method):
    server = start()
    origin = origin.format(port=server.port)
    path = "/login" if method == "POST" else "/stored"
    reply = ask(server, path, method, Origin=origin, X_Profiler_Page="1")
    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_the_pages_own_origin_may_ask(start):
    server = start()
    assert ask(server, Origin="http://127.0.0.1:%d" % server.port).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x"])
def test_what_another_site_loads_is_refused(start, site):
    """As by <script> or <img>, which say no Origin."""
    reply = ask(start(), Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
    assert reply.status == 403


def test_a_link_to_the_page_may_be_followed_and_to_data_not(start):
    server = start()
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert ask(server, "/", **link).status != 403
    assert ask(server, "/stored", **link).status == 403
    assert ask(server, Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate").status == 200


@pytest.mark.parametrize(
    "method",
    ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "POST", "get", "X"],
)
def test_other_methods_are_refused(start, method):
    reply = ask(start(), method=method)
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, HEAD"


def test_a_login_is_no_get(start):
    reply = ask(start(token=TOKEN), "/login")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path, options",
    [
        ("/", {}),
        ("/page.js", {}),
        ("/stored", {}),
        ("/profile?id=x", {}),
        ("/nothing", {}),
        ("/stored", {"Host": "evil.test"}),
        ("/stored", {"Origin": "http://evil.test"}),
        ("/stored", {"method": "OPTIONS"}),
        ("/" + "x" * 8300, {}),
    ],
)
def test_every_answer_tells_the_browser_what_not_to_do(start, path, options):
    headers = ask(start(), path, **options).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not [name for name in headers if name.lower().startswith("access-control")]


# What is asked.


@pytest.mark.parametrize(
    "path",
    [
        "/page.js/",
        "/_web.py",
        "/../_web.py",
        "/%2e%2e/_web.py",
        "/page.css%00",
        "/index.sqlite3",
        "http://127.0.0.1/stored",
        "*",
    ],
)
def test_other_paths_are_not_there(start, path):
    assert ask(start(), path).status == 404


@pytest.mark.parametrize(
    "id",
    ["", "x", "0" * 32, "0" * 31, "../../etc/passwd", "index.sqlite3", "A" * 32, "%00"],
)
def test_other_ids_are_not_there(start, shelf, id):
    shelf.put()
    assert ask(start(), "/profile?id=" + id).status == 404


def test_a_file_that_went_away_is_told(start, shelf):
    id = shelf.put()
    os.unlink(os.path.join(shelf.directory, id + ".pb.gz"))
    reply = ask(start(), "/profile?id=" + id)
    assert reply.status == 503 and b"cannot read profile" in reply.body


@pytest.mark.parametrize(
    "query, words",
    [
        ("", b"a type must be chosen"),
        ("type=CPU&colour=red", b"'colour' is nothing"),
        ("type=CPU&from=yesterday", b"'yesterday' is no time"),
        ("type=CPU&type=WALL", b"twice"),
        ("type", b"cannot be read"),
        ("type=%ff", b"cannot be read"),
        ("type=CPU&&", b"cannot be read"),
    ],
)
def test_a_bad_question_is_told_what_is_wrong(start, query, words):
    reply = ask(start(), "/profiles?" + query)
    assert reply.status == 400
    assert words in reply.body
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_what_fails_here_is_told_here_and_not_there(start, shelf):
    said = []
    shelf.put(data=b"{}")
    reply = ask(start(warn=said.append), "/profiles?target=web&type=CPU")
    assert reply.status == 500
    (words,) = said
    assert "KeyError" in words and "KeyError" not in reply.body.decode()


# What is bounded.


@pytest.mark.parametrize(
    "text, status",
    [
        (b"GET /" + b"x" * 8188, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * (32768 - 19), 431),
        (b"GET / HTTP/1.1\r\n%s\r\n" % (b"A: x\r\n" * 101), 431),
        (b"GET / HTTP/3.14.15\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00 \r\n\r\n", 400),
    ],
)
def test_what_is_too_large_or_no_request_is_refused(start, text, status):
    assert raw(start(), text).status == status


@pytest.mark.parametrize("more", [b"x", b"A: x\r\n", b"\0"])
def test_a_request_without_end_ends(start, more):
    """Where more was sent than is read, the answer may get lost."""
    server = start()
    with connect(server) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(10**4):
            connection.sendall(more * 1000)
        pytest.fail("it reads on and on")


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Content_Length": "4097"}, 413),
        ({"Content_Length": "1" * 20}, 413),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "\xb2"}, 411),
        ({"Content_Length": "1, 1"}, 411),
        ({}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Content_Length": "5", "Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_a_body_has_a_length_within_bounds(start, headers, status):
    server = start(token=TOKEN)
    reply = ask(server, "/login", "POST", X_Profiler_Page="1", **headers)
    assert reply.status == status


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"GET /stored HTTP/1.1\r\n"],
        [b"G", b"E", b"T", b" "] + [b"/"] * 1000,
        [b"GET / HTTP/1.1\r\n"] + [b"A: x\r\n"] * 90,
    ],
)
def test_a_slow_request_ends(start, monkeypatch, parts):
    """Though each of its bytes comes in time."""
    monkeypatch.setattr(_web, "REQUEST_S", 0.3)
    with connect(start()) as connection:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
                time.sleep(0.02)
        assert all_of(connection) == b""


def test_a_slow_handshake_ends(start, monkeypatch, certificate):
    monkeypatch.setattr(_web, "REQUEST_S", 0.3)
    with connect(start(tls=certificate.server())) as connection:
        assert all_of(connection) == b""


def asked_for_much(server, shelf):
    """A connection to which 30 MB and some are on their way."""
    id = shelf.put(data=encoded("x" * 3 * 10**7))
    connection = connect(server)
    connection.sendall(
        b"GET /profile?id=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
        % (id.encode(), server.port)
    )
    return connection


def test_who_takes_the_answer_slowly_does_not_get_all_of_it(start, shelf, monkeypatch):
    """Though some of it goes on in time."""
    monkeypatch.setattr(_web, "ANSWER_S", 0.3)
    server = start()
    with asked_for_much(server, shelf) as connection:
        got = 0
        with contextlib.suppress(ConnectionError):
            while True:
                part = connection.recv(1 << 18)
                if not part:
                    break
                got += len(part)
                time.sleep(0.05)
        assert 0 < got < 3 * 10**7


def test_who_does_not_take_the_answer_is_let_go(start, shelf, monkeypatch):
    """And then there is room for others."""
    monkeypatch.setattr(_web, "ANSWER_S", 0.3)
    monkeypatch.setattr(_web, "MAX_CONNECTIONS", 1)
    server = start()
    with asked_for_much(server, shelf) as connection:
        end = time.monotonic() + PATIENCE_S
        while ask(server).status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(all_of(connection)) < 3 * 10**7


def test_no_more_connections_than_the_bound_are_kept(start, monkeypatch):
    monkeypatch.setattr(_web, "MAX_CONNECTIONS", 3)
    server = start()
    idle = [connect(server) for _ in range(3)]
    with connect(server) as another:
        assert all_of(another) == b""
    for connection in idle:
        connection.close()


def test_where_nobody_can_be_let_in_it_does_not_try_without_a_pause(start, monkeypatch):
    server = start()
    server.close()
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(OSError):
        server._listener.get_request()
    assert pauses == [_web.PAUSE_S]


def test_answers_that_take_long_wait_for_each_other(start, shelf, monkeypatch):
    shelf.put()
    monkeypatch.setattr(_web, "ANSWER_S", 0.2)
    server = start()
    path = "/profiles?target=web&type=CPU"
    with server.merging:
        reply = ask(server, path)
    assert reply.status == 503 and b"try again" in reply.body
    assert ask(server, path).status == 200


def test_after_the_end_nobody_listens(start):
    server = start()
    server.close()
    with pytest.raises(ConnectionError):
        connect(server)


# Where it listens.


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "127.0.0.1", "127.0.0.1:", ":8180", "127.0.0.1:65536", "::1:80",
     "127.0.0.1:-1", "127.0.0.1:x", "[]:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(_web.WebError, match="is no HOST:PORT"):
        _web.parse_address(address)


@pytest.mark.parametrize("options", [{}, {"token": TOKEN}, {"tls": object()}])
@pytest.mark.parametrize(
    "address",
    ["192.0.2.1:80", "example.com:80", "localhost.evil.test:1", "[2001::1]:1"],
)
def test_other_addresses_than_loopback_take_a_certificate_and_a_token(address, options):
    with pytest.raises(_web.WebError, match="--tls-cert, --tls-key and --token"):
        _web.Server(address, "", decode, "", **options)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "[::]:80"])
def test_all_addresses_are_no_name(address):
    """Which name a browser will say could not be known."""
    with pytest.raises(_web.WebError, match="has no name"):
        _web.Server(address, "", decode, "", tls=object(), token=TOKEN)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.8.8:0", "localhost:0"])
def test_it_listens_on_loopback(start, address):
    server = start(address)
    host = address.rpartition(":")[0]
    assert server.url == "http://%s:%d/" % (host, server.port)
    connection = http.client.HTTPConnection(host, server.port, timeout=PATIENCE_S)
    connection.request("GET", "/stored")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_name_is_the_only_one_elsewhere(start, monkeypatch, certificate):
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: real(host.replace("profiler.test", "127.0.0.1"), *a, **k),
    )
    server = start("profiler.test:0", tls=certificate.server(), token=TOKEN)
    assert server.url == "https://profiler.test:%d/" % server.port
    bearer = {"Authorization": "Bearer " + TOKEN}
    for host, status in (("profiler.test", 200), ("127.0.0.1", 421)):
        reply = certificate.ask(server, Host="%s:%d" % (host, server.port), **bearer)
        assert reply.status == status


def test_a_port_that_is_taken_is_told_with_what_to_do(start):
    address = "127.0.0.1:%d" % start().port
    with pytest.raises(_web.WebError, match=r"in use: name another.*--web off"):
        _web.Server(address, "", decode, "")


# The token.


def login(server, token=TOKEN, **headers):
    headers = {"X_Profiler_Page": "1", **headers}
    return ask(server, "/login", "POST", token.encode(), **headers)


def test_with_a_token_nothing_stored_is_shown_without_it(start, shelf):
    id = shelf.put()
    server = start(token=TOKEN)
    for path in ("/stored", "/profiles?target=web&type=CPU", "/profile?id=" + id):
        reply = ask(server, path)
        assert reply.status == 401
        assert b"token" in reply.body
    assert ask(server, "/page.js").status != 401


def test_whoever_says_the_token_is_known_by_a_cookie(start):
    server = start(token=TOKEN)
    reply = login(server)
    assert reply.status == 204
    cookie, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert {*attributes} == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert TOKEN not in cookie
    assert ask(server, Cookie="other=1; %s" % cookie).status == 200


def test_a_cookie_of_another_run_is_worth_nothing(start):
    first, second = start(token=TOKEN), start(token=TOKEN)
    value = login(first).headers["Set-Cookie"].split("; ")[0].partition("=")[2]
    reply = ask(second, Cookie="%s=%s" % (second.cookie, value))
    assert reply.status == 401


@pytest.mark.parametrize(
    "token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\xe9"]
)
def test_another_token_is_refused(start, token):
    server = start(token=TOKEN)
    reply = login(server, token, Content_Length=len(token.encode()))
    assert reply.status == 401
    assert "Set-Cookie" not in reply.headers
    assert ask(server, Authorization="Bearer " + token).status == 401


def test_a_login_takes_the_header_that_makes_browsers_ask_first(start):
    reply = login(start(token=TOKEN), X_Profiler_Page=None)
    assert reply.status == 403 and "Set-Cookie" not in reply.headers


def test_programs_say_the_token_as_bearer(start):
    reply = ask(start(token=TOKEN), Authorization="Bearer " + TOKEN)
    assert reply.status == 200


# TLS.


class Certificate:
    """One for localhost, which signs itself."""

    def __init__(self, folder):
        openssl(
            folder,
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        )
        self.cert, self.key = str(folder / "cert.pem"), str(folder / "key.pem")

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def ask(self, server, path="/stored", method="GET", body=None, **headers):
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            server.port,
            timeout=PATIENCE_S,
            context=ssl.create_default_context(cafile=self.cert),
        )
        connection._context.check_hostname = False
        with contextlib.closing(connection):
            headers = {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            reply.body = reply.read()
            return reply


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


def test_over_tls_the_cookie_stays_there(start, certificate):
    server = start(tls=certificate.server(), token=TOKEN)
    assert server.url.startswith("https://")
    assert certificate.ask(server).status == 401
    reply = certificate.ask(server, "/login", "POST", TOKEN, X_Profiler_Page="1")
    assert reply.status == 204
    cookie, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert "Secure" in attributes
    assert certificate.ask(server, Cookie=cookie).status == 200


def test_over_tls_the_origin_is_https(start, certificate):
    server = start(tls=certificate.server(), token=TOKEN)
    for scheme, status in (("https", 401), ("http", 403)):
        origin = "%s://127.0.0.1:%d" % (scheme, server.port)
        assert certificate.ask(server, Origin=origin).status == status


def test_plaintext_to_a_tls_port_is_not_answered(start, certificate):
    server = start(tls=certificate.server())
    assert ask(server).status is None
    assert certificate.ask(server).status == 200


# On each Python.

EVERYWHERE = """
import http.client, json, sys
try:
    import sqlite3, ssl
except ImportError as e:
    print(json.dumps({"skip": str(e)}))
    sys.exit()
sys.path.insert(0, sys.argv[1])
from googlecloudprofiler import _web
from stored import Shelf, decode
shelf = Shelf(sys.argv[2])
id = shelf.put(version="1")
context = ssl.SSLContext(ssl.PROTOCOL_TLS)
context.load_cert_chain(sys.argv[3], sys.argv[4])
seen = []
for tls in (None, context):
    server = _web.Server("127.0.0.1:0", shelf.directory, decode, "", tls=tls)
    server.start()
    kind = http.client.HTTPConnection
    options = {}
    if tls:
        kind = http.client.HTTPSConnection
        options["context"] = ssl._create_unverified_context()
    for method, path in (
        ("GET", "/page.js"), ("GET", "/stored"), ("HEAD", "/profile?id=" + id),
        ("GET", "/profiles?target=web&type=CPU&version=1"), ("PUT", "/stored"),
    ):
        connection = kind("127.0.0.1", server.port, timeout=20, **options)
        connection.request(method, path)
        reply = connection.getresponse()
        reply.read()
        seen.append(reply.status)
        connection.close()
    server.close()
print(json.dumps(seen))
"""


def test_it_is_served_by_each_python(show, tmp_path, certificate):
    files = certificate.cert, certificate.key
    seen = show(EVERYWHERE, os.path.dirname(stored.__file__), tmp_path / "s", *files)
    assert seen == 2 * [200, 200, 200, 200, 405]


# As a part of the service.


def serve(tmp_path, *options):
    pytest.importorskip("googlecloudprofiler._native")
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "googlecloudprofiler", "serve"),
            *("--address", "127.0.0.1:0", "--store", str(tmp_path / "s"), *options),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def test_the_service_says_where_its_page_is(tmp_path):
    with serve(tmp_path, "--web", "127.0.0.1:0") as service:
        try:
            first, second, third = (service.stdout.readline() for _ in range(3))
            assert first.startswith("listening on 127.0.0.1:")
            found = re.fullmatch(r"page at http://127\.0\.0\.1:(\d+)/\n", second)
            connection = http.client.HTTPConnection("127.0.0.1", int(found.group(1)))
            with contextlib.closing(connection):
                connection.request("GET", "/stored")
                told = json.loads(connection.getresponse().read().decode())
            assert told["endpoint"] == "http://" + first.split()[-1]
            assert told["choices"] == []
        finally:
            service.terminate()
        assert third == "storing profiles in %s\n" % (tmp_path / "s")
        assert service.communicate(timeout=PATIENCE_S) == ("", "")
        assert service.returncode == 0


@pytest.mark.parametrize("off", ["off", ""])
def test_the_service_has_no_page_where_none_is_wanted(tmp_path, off):
    with serve(tmp_path, "--web", off, "--timeout", "0") as service:
        out, err = service.communicate(timeout=PATIENCE_S)
    assert "page at" not in out
    assert (service.returncode, err) == (0, "")


def test_a_second_service_has_its_page_at_a_free_port(tmp_path):
    host, _, port = _cli.DEFAULT_WEB.rpartition(":")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # then somebody else has it, as well
            other.bind((host, int(port)))
            other.listen(1)
        with serve(tmp_path, "--timeout", "0") as service:
            out, err = service.communicate(timeout=PATIENCE_S)
    (place,) = re.findall("page at http://%s:([0-9]+)/" % host, out)
    assert place != port
    assert (service.returncode, err) == (0, "")


def test_a_page_that_cannot_listen_is_an_error(tmp_path, start):
    with serve(tmp_path, "--web", "127.0.0.1:%d" % start().port) as service:
        out, err = service.communicate(timeout=PATIENCE_S)
    assert service.returncode == 1 and out == ""
    assert err.count("\n") == 1 and "--web off" in err


# Whose connection it is.


AS_ANOTHER = """
import encodings.idna, os, socket, sys  # not to be read as another user
os.setuid(65534)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    host = sys.argv[1] if "." in sys.argv[1] else "[%s]" % sys.argv[1]
    head = "GET %s HTTP/1.1\\r\\nHost: %s:%s\\r\\n\\r\\n" % (
        sys.argv[3], host, sys.argv[2])
    connection.sendall(head.encode())
    print(connection.makefile().readline().split()[1])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_another_user_of_the_host_is_shown_nothing(start, host):
    server = start("[::1]:0" if host == "::1" else "127.0.0.1:0")

    def asked(path):
        command = [sys.executable, "-c", AS_ANOTHER, host, str(server.port), path]
        return subprocess.check_output(command, timeout=PATIENCE_S).decode().strip()

    assert asked("/stored") == "403"
    assert asked("/profile?id=" + "0" * 32) == "403"
    assert asked("/page.css") in ("200", "503")


def test_the_user_at_the_other_end_is_told_by_the_kernel():
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as listener:
            listener.bind((host, 0))
            listener.listen(1)
            with socket.create_connection(listener.getsockname()[:2]) as other:
                here, _ = listener.accept()
                with here:
                    assert _peer.user(here) == _peer.user(other) == os.geteuid()


def test_where_the_kernel_does_not_tell_nobody_is_known(monkeypatch):
    monkeypatch.setattr(_peer, "_TABLES", {socket.AF_INET: "/nowhere"})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()) as other:
            assert _peer.user(other) is None
