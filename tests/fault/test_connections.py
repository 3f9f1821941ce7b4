"""Connections that go wrong below HTTP/2"""

import os
import socket
import time

import pytest
from authority import authority
from fake_service import FakeService, assign, eventually, hang
from faults import each, takes
from frames import SETTINGS, frame
from trial import FAILED, Agent, good, hold, judge, recover, serve, try_door
from wire import HOST, Door, lead, read_some, reset, stay

# What an HTTP/2 client says first.
PREFACE = 24
UNREACHABLE = "UNAVAILABLE: "
LONG = bool(os.environ.get("CPROF_LONG"))


def say(words):
    """A script: say this to everybody and hang up."""

    def script(visitor):
        visitor.sendall(words)
        read_some(visitor, 1)

    return script


def after(nr, end=socket.socket.close):
    """A script: read so many bytes and end the connection so."""

    def script(visitor):
        read_some(visitor, nr)
        end(visitor)

    return script


def test_connection_refused():
    """Nobody listens at the port.
    Warns at the third failure; backs off; tries for ever.
    """
    with hold(0) as port, Agent("http://%s:%d" % (HOST, port)) as agent:
        agent.wait_failures()
        agent.assert_alive()
        with FakeService(port=port) as service:
            recover(agent, service, lambda: good(service))
            judge(agent, ["UNAVAILABLE: .*Connection refused"])


def test_a_name_that_does_not_resolve():
    """The host name of the service does not exist.
    Warns at the third failure; backs off; tries for ever.
    """
    environ = authority().environment()
    with Agent("https://no-such-host.invalid", **environ) as agent:
        agent.wait_failures()
        agent.assert_alive()
        agent.finish()
        assert len(agent.said("WARNING")) == 1


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
SETTINGS_FRAME = frame(SETTINGS)


@each(
    "script",
    ("closed", "accepted and closed", after(0)),
    ("reset", "accepted and reset", after(0, reset)),
    ("closed-after-preface", "closed after the client's preface", after(PREFACE)),
    ("reset-after-preface", "reset after that preface", after(PREFACE, reset)),
    (
        "half-settings",
        "closed in the middle of the SETTINGS frame",
        lambda visitor: visitor.sendall(SETTINGS_FRAME[:5]),
    ),
    ("zeros", "answered with 1,000 zeros", say(bytes(1000))),
    ("ones", "answered with 1,000 ones", say(b"\xff" * 1000)),
    ("ssh", "that of an SSH server", say(b"SSH-2.0-OpenSSH_9.2\r\n")),
    ("smtp", "that of a mail server", say(b"220 mail.test ESMTP\r\n")),
    (
        "tls",
        "answered with a TLS alert: the port is one for TLS",
        say(b"\x15\x03\x03\x00\x02\x02\x16"),
    ),
    (
        "http-400",
        "answered by an HTTP/1.1 server that does not understand",
        say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    ),
    (
        "http-502",
        "answered by a proxy's HTTP/1.1 502 with HTML",
        say(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(HTML), HTML)
        ),
    ),
    (
        "http-endless",
        "answered by an HTTP/1.1 header of 1 MB",
        say(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000000),
    ),
)
def test_a_connection_that_comes_to_nothing(script):
    """Each connection is {}.
    Warns at the third failure; backs off; connects once a second and less often.
    """
    try_door(script, [UNREACHABLE])


@takes(22)
def test_a_connection_without_a_word():
    """Connections are accepted, and nothing is ever said on them.
    Gives up each one after 20 s, and backs off.
    """
    begin = time.monotonic()
    try_door(stay, None, failures=1)
    assert time.monotonic() - begin > 19


def test_bytes_that_come_one_by_one():
    """A connection gives out each byte of the service alone.
    Profiles as ever.
    """
    with FakeService() as service:

        def script(visitor):
            visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lead(visitor, service.port, None, lambda d: (bytes([b]) for b in d))

        with Door(script) as door, Agent(door.endpoint) as agent:
            good(service)
            service.wait_updated(3)
            judge(agent, extra_cpu_s=1)


@each("nr", *((str(n), "%d bytes" % n, n) for n in (30, 100, 200, 300, 400)))
def test_a_proxy_that_cuts(nr):
    """A proxy ends each connection after {} from the service.
    Warns at most once of a kind; backs off; hands in again what was being handed in.
    """
    with FakeService() as service:
        service.create_default = hang

        def script(visitor):
            left = [nr]

            def alter(data):
                piece = data[: left[0]]
                left[0] -= len(piece)
                yield piece
                if not left[0]:
                    raise OSError("enough")

            lead(visitor, service.port, None, alter)

        with Door(script, service.port) as door, Agent(door.endpoint) as agent:
            good(service)
            eventually(lambda: door.visitors >= 3, "three connections")
            agent.assert_alive()
            recover(agent, service, door.mend)
            agent.finish()
            assert len(agent.said("WARNING")) <= 2
        assert not door.errors, door.errors


class Cutter:
    """A proxy that can forget the connections it has: from then on it takes all from
    both sides of each and drops it. New ones are led through."""

    def __init__(self, port):
        self.port = port
        self.cuts = 0

    def cut(self):
        self.cuts += 1

    def __call__(self, visitor):
        mine = self.cuts

        def alter(data):
            return (data,) if mine == self.cuts else ()

        lead(visitor, self.port, alter, alter)


def test_a_poll_that_is_cut_in_silence():
    """A proxy forgets an idle connection, and resets it a little later.
    Backs off and connects anew.
    """
    with serve() as service:
        cutter = Cutter(service.port)
        with Door(cutter, service.port) as door, Agent(door.endpoint) as agent:
            service.wait_created(1)
            cutter.cut()
            good(service)
            agent.program.wait_agent_rests()
            agent.assert_alive()
            assert not service.updated
            recover(agent, service, door.mend)
            judge(agent)


@takes(36)
def test_an_upload_that_is_cut_in_silence():
    """A proxy drops all that is said while a profile is collected.
    Gives up after 30 s, and hands in the same profile once that works.
    """
    with serve() as service:
        cutter = Cutter(service.port)
        with Door(cutter, service.port) as door, Agent(door.endpoint) as agent:
            service.create_default = assign("WALL", 1)
            agent.program.wait_collecting()
            cutter.cut()
            agent.wait_said("Starting to upload profile")
            begin = time.monotonic()
            agent.wait_said("Starting to upload profile", 2)
            assert 25 < time.monotonic() - begin < 45
            recover(agent, service, door.mend)
            judge(agent)


@takes(1000 if LONG else 0)
@pytest.mark.timeout(900)
def test_a_connection_that_stays_cut():
    """A proxy forgets an idle connection and never says so (with CPROF_LONG=1).
    Finds out by keepalive, five and a half minutes later, and connects anew.
    """
    if not LONG:
        pytest.skip("takes six minutes: CPROF_LONG=1")
    with serve() as service:
        cutter = Cutter(service.port)
        with Door(cutter, service.port) as door, Agent(door.endpoint) as agent:
            service.wait_created(1)
            # A server that misses the end of the greeting hangs up by itself.
            time.sleep(2)
            begin = time.monotonic()
            cutter.cut()
            good(service)
            agent.wait_said(FAILED, 1, timeout_s=400)
            assert 300 <= time.monotonic() - begin < 345
            service.wait_updated(1)
            judge(agent)


def test_a_proxy_of_the_environment():
    """The environment names a proxy that does not work.
    Does not use it for a service on this machine.
    """
    with socket.socket() as proxy, serve() as service:
        proxy.bind((HOST, 0))
        url = "http://%s:%d" % (HOST, proxy.getsockname()[1])
        names = ("http_proxy", "https_proxy", "grpc_proxy")
        good(service)
        with Agent(service.endpoint, **dict.fromkeys(names, url)) as agent:
            service.wait_updated(1)
            judge(agent)
