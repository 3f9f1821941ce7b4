"""A service of one's own, away from loopback: TLS and a token at both ends.

The service is `serve` as its own process, at all addresses of this machine; the agent
comes to it by TLS. What is secret is in no word of either.
"""

import os
import signal
import socket
import subprocess
import sys

import grpc
import pytest
from fake_service import PATIENCE_S, SERVICE, eventually
from fixtures import openssl
from program import clean_environment

ONE, TWO = "hush-hush-0123456789", "hush-hush-9876543210"
HUSH = "hush-hush"
ADVICE = "; name a file with the service's token in GOOGLE_CLOUD_PROFILER_TOKEN_FILE"


class Served:
    """`serve` with these options; `address` is what it says to listen on."""

    def __init__(self, folder, options):
        self._folder = folder
        self.store = folder / "store"
        with open(str(folder / "said"), "ab") as said:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "googlecloudprofiler", "serve"),
                    *("--store", str(self.store), "--interval", "0.2"),
                    *("--duration", "0.1", "--types", "CPU", *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                universal_newlines=True,
                env=clean_environment(folder),
            )
        self._lines = [self._process.stdout.readline()]
        words = self._lines[0].split()
        assert words[:2] == ["listening", "on"], self.text()
        self.address = words[2]
        self.port = int(words[2].rpartition(":")[2])

    def end(self):
        """Have it end well, unless it has. What it said fits into the pipe."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(PATIENCE_S) == 0, self.text()
            self._lines += self._process.stdout
            self._process.stdout.close()

    def text(self):
        """All that it has said, once it has ended."""
        return "".join(self._lines) + (self._folder / "said").read_text()

    def stored(self):
        return len(list(self.store.glob("*.pb.gz")))

    def wait_stored(self, nr):
        eventually(lambda: self.stored() >= nr, "%d profiles" % nr)


@pytest.fixture
def serve(tmp_path, put, authority):
    """serve(address, token=ONE, pair=...) is a Served. The pair is of
    certificate and key, or None for plaintext; else it is by the CA that the program
    trusts. In all that the service said there is no secret."""
    started = []

    def run(address="0.0.0.0:0", token=ONE, pair=(authority.chain, authority.key)):
        options = ["--address", address, "--token", put("its-token", token)]
        if pair:
            options += ["--tls-cert", pair[0], "--tls-key", pair[1]]
        served = Served(tmp_path, options)
        started.append(served)
        return served

    yield run
    for served in started:
        served.end()
        assert HUSH not in served.text()


@pytest.fixture
def profiled(watch):
    """profiled(endpoint, token file, start={}, **more) runs a program with the agent,
    for which there is nothing of Google's."""

    def run(endpoint, path, start=None, **more):
        return watch(
            start,
            GOOGLE_CLOUD_PROFILER_ENDPOINT=endpoint,
            GOOGLE_CLOUD_PROFILER_TOKEN_FILE=path,
            **more
        )

    return run


def see_no_secret(program):
    assert HUSH not in program.text() and "Bearer" not in program.text()


def test_an_agent_with_the_token_is_served(serve, profiled, put):
    served = serve()
    program = profiled("https://localhost:%d" % served.port, put("token", ONE + "\n"))
    served.wait_stored(2)
    assert program.end() == []
    see_no_secret(program)


def test_a_certificate_that_is_signed_by_itself_serves(
    serve, profiled, put, tmp_path
):
    """With the names of the service in it, and where the agent trusts it."""
    openssl(
        tmp_path,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", "/CN=profiles", "-keyout", "own-key.pem"),
        *("-out", "own.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
    )
    own, key = str(tmp_path / "own.pem"), str(tmp_path / "own-key.pem")
    served = serve(pair=(own, key))
    token = put("token", ONE)
    for host in ("localhost", "127.0.0.1"):
        program = profiled(
            *("%s:%d" % (host, served.port), token, {"service": host}),
            SSL_CERT_FILE=own
        )
        program.hear("Starting to upload profile")
        assert program.end() == []


def test_the_certificates_on_the_way_to_a_known_one_are_sent(
    serve, profiled, put, authority, tmp_path
):
    put("ca-names", "basicConstraints=critical,CA:true\n")
    put("leaf-names", "subjectAltName=DNS:localhost\n")
    for name, by, key in (
        ("ca", authority.ca, authority.ca.replace("ca.pem", "ca-key.pem")),
        ("leaf", "ca.pem", "ca-key.pem"),
    ):
        new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        new += " -keyout %s-key.pem -out %s.csr -subj /CN=%s" % (name, name, name)
        sign = "x509 -req -in %s.csr -days 2 -CA %s -CAkey %s -CAcreateserial"
        sign += " -CAserial serial -extfile %s-names -out %s.pem"
        openssl(tmp_path, *new.split())
        openssl(tmp_path, *(sign % (name, by, key, name, name)).split())
    both = (tmp_path / "leaf.pem").read_text() + (tmp_path / "ca.pem").read_text()
    served = serve(pair=(put("chain.pem", both), str(tmp_path / "leaf-key.pem")))
    program = profiled("https://localhost:%d" % served.port, put("token", ONE))
    served.wait_stored(1)
    assert program.end() == []


def test_on_loopback_a_token_goes_without_tls(serve, profiled, put):
    served = serve("127.0.0.1:0", pair=None)
    program = profiled("http://127.0.0.1:%d" % served.port, put("token", ONE))
    served.wait_stored(1)
    assert program.end() == []
    see_no_secret(program)


def test_an_agent_without_the_token_is_told_once(serve, profiled, put):
    served = serve()
    program = profiled("https://localhost:%d" % served.port, put("token", TWO))
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith("UNAUTHENTICATED: this service wants another token" + ADVICE)
    program.hear("Failed to create profile", "DEBUG", count=3)
    assert len(program.end()) == 1
    assert served.stored() == 0
    see_no_secret(program)


def test_on_loopback_an_agent_without_a_token_is_told(serve, profiled):
    served = serve("127.0.0.1:0", pair=None)
    program = profiled("http://127.0.0.1:%d" % served.port, None)
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith("UNAUTHENTICATED: this service wants a token" + ADVICE)
    assert len(program.end()) == 1


def test_a_token_that_is_replaced_needs_no_restart_of_the_program(
    serve, profiled, put
):
    """The service begins anew with another one, and the program's file follows."""
    first = serve()
    path = put("token", ONE)
    program = profiled("https://localhost:%d" % first.port, path)
    first.wait_stored(1)
    first.end()
    before = first.stored()
    second = serve("0.0.0.0:%d" % first.port, token=TWO)
    program.hear("this service wants another token")
    assert second.stored() == before
    put("token", TWO)
    second.wait_stored(before + 1)
    see_no_secret(program)
    program.end()


def test_a_token_file_that_goes_and_comes_back_is_told(serve, profiled, put):
    first = serve()
    first.end()
    path = put("token", ONE)
    program = profiled("https://localhost:%d" % first.port, path)
    os.remove(path)
    words = program.hear("cannot read a token", "WARNING")
    assert "cannot open '%s': No such file" % path in words
    assert words.endswith(ADVICE)
    serve("0.0.0.0:%d" % first.port)
    put("token", ONE)
    program.hear("The profiler service answers again", "INFO")
    program.hear("Starting to upload profile")
    see_no_secret(program)
    program.end()


def test_plain_text_to_a_service_with_tls_is_not_understood(
    serve, profiled, put
):
    served = serve("127.0.0.1:0")
    token = put("token", ONE)
    program = profiled("http://127.0.0.1:%d" % served.port, token)
    words = program.hear("Failed to create profile", "WARNING")
    assert "UNAVAILABLE" in words
    assert len(program.end()) == 1
    assert served.stored() == 0
    # Who does it well is served.
    program = profiled("https://127.0.0.1:%d" % served.port, token)
    served.wait_stored(1)
    assert program.end() == []


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot open '%s': No such file or directory"),
        ("", "'%s' is empty"),
        (" \n", "'%s' is empty"),
        ("hush-hush", "that in '%s' has 9 bytes, and must have 16 to 4096"),
        ("hush-hush " * 3, "what is in '%s' is not one word of plain text"),
        ("hush-hush\x07" * 3, "what is in '%s' is not one word of plain text"),
        ("hush-hush" * 10000, "'%s' is too long"),
    ],
    ids=["missing", "empty", "blank", "short", "words", "control", "long"],
)
def test_a_token_file_that_cannot_be_used_is_refused_by_start(
    profiled, put, tmp_path, content, words
):
    path = str(tmp_path / "token") if content is None else put("token", content)
    program = profiled("https://localhost:1", path)
    words = "cannot read a token: " + words % path
    assert program.raised == ("CredentialsError", words)
    assert program.end() == []
    see_no_secret(program)


def test_an_own_service_without_a_token_file_is_refused_by_start(profiled):
    program = profiled("https://localhost:1", None)
    kind, words = program.raised
    assert kind == "CredentialsError" and "GOOGLE_CLOUD_PROFILER_TOKEN_FILE" in words
    program.end()


@pytest.mark.parametrize("method", ["CreateProfile", "UpdateProfile", "NoSuchMethod"])
@pytest.mark.parametrize(
    "headers, words",
    [
        ((), "this service wants a token"),
        ((("authorization", "Bearer " + TWO),), "this service wants another token"),
    ],
    ids=["none", "another"],
)
def test_no_method_is_open_to_a_client_of_another_grpc(
    serve, authority, method, headers, words
):
    served = serve()
    with open(authority.ca, "rb") as ca:
        trusted = grpc.ssl_channel_credentials(ca.read())
    address = "localhost:%d" % served.port
    with grpc.secure_channel(address, trusted) as channel:
        call = channel.unary_unary("/%s/%s" % (SERVICE, method))
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=headers, timeout=PATIENCE_S)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == words


def test_who_says_nothing_is_let_go(serve):
    """A connection costs a descriptor: who does not come to TLS keeps none."""
    served = serve()
    with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as silent:
        assert silent.recv(1) == b""
