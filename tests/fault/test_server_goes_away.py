"""The service dies, comes back, or was never one."""

import socket
import threading

import pytest
from fake_service import PATIENCE_S, FakeService, assign, hang

PROGRAM = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
"""


def finish(program):
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""


def test_a_restart_mid_upload_is_survived(launch):
    """The next try of the same upload finds the new server."""
    with FakeService() as first:
        first.create_default = assign(seconds=0.1)
        first.update_default = hang
        program = launch(PROGRAM, service=first)
        lost = first.wait_updated(1)[0]
        port = first.port
    with FakeService(port=port) as second:
        assert second.port == port
        found = second.wait_updated(1, PATIENCE_S)[0]
        assert found.raw == lost.raw
        second.wait_created(1, PATIENCE_S)
        finish(program)


def test_a_service_that_dies_while_polled_leaves_the_agent_alive(launch):
    with FakeService() as service:
        program = launch(PROGRAM, service=service)
        service.wait_created(1)
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    finish(program)


def test_a_service_that_dies_while_collecting_leaves_the_agent_alive(launch):
    with FakeService() as service:
        service.create_default = assign("WALL", 0.6)
        program = launch(PROGRAM, service=service)
        program.wait_collecting()
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    finish(program)


class Stranger:
    """A TCP server that answers every connection with `words` and hangs up."""

    def __init__(self, words):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.answered = threading.Event()
        self.words = words
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.sendall(self.words)
            self.answered.set()


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"\x00" * 1000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 3 + b"\xff" * 100,
    ],
    ids=["nothing", "http/1", "zeros", "ssh", "broken http/2"],
)
def test_what_is_no_profiler_service_does_no_harm(launch, words):
    stranger = Stranger(words)
    with stranger.listener:
        program = launch(PROGRAM, GOOGLE_CLOUD_PROFILER_ENDPOINT=stranger.endpoint)
        assert stranger.answered.wait(PATIENCE_S)
        program.wait_agent_rests()
        assert "cprof-agent" in program.threads().values()
        finish(program)


def test_a_name_that_does_not_resolve_does_no_harm(launch, key_file):
    program = launch(
        PROGRAM,
        GOOGLE_CLOUD_PROFILER_ENDPOINT="https://no-such-host.invalid",
        GOOGLE_APPLICATION_CREDENTIALS=key_file,
    )
    program.wait_agent_rests()
    finish(program)


def test_a_proxy_of_the_environment_is_not_used_for_loopback(service, launch):
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % proxy.getsockname()[1]
        proxies = {"http_proxy": url, "https_proxy": url, "grpc_proxy": url}
        launch(PROGRAM, service=service, **proxies)
        service.wait_created(1)
