"""TLS: who is trusted, and that the token goes to nobody else"""

import json
import os
import ssl
import tempfile
import warnings

from authority import authority
from fake_service import FakeService
from faults import each, takes
from frames import SETTINGS, frame
from trial import ENOUGH, FAILED, Agent, by_count, good, judge, recover
from wire import Door, read_some, reset, stay


def secure_service():
    return FakeService(credentials=authority().grpc_credentials())


def try_tls(script, told, failures=ENOUGH):
    """A server on a TLS port that follows `script`, until it is a good one."""
    with secure_service() as service, Door(script, service.port) as door:
        good(service)
        with Agent(
            "https://localhost:%d" % door.port, **authority().environment()
        ) as agent:
            agent.wait_failures(failures)
            assert door.visitors
            agent.assert_alive()
            assert not service.created
            recover(agent, service, door.mend)
            agent.finish()
            judge(agent, by_count(agent, told), extra_cpu_s=0.5)
            check_secrets(agent)
    assert not door.errors, door.errors


def check_secrets(agent):
    said = "\n".join(r.text for r in agent.records)
    assert "Bearer" not in said and "PRIVATE" not in said and "eyJ" not in said


def shake_hands(context, then=stay):
    """A script: TLS as the context has it, then what `then` does."""

    def script(visitor):
        with context.wrap_socket(visitor, server_side=True) as secure:
            then(secure)

    return script


def test_all_is_well():
    """Nothing: a service over TLS whose certificate is good.
    Profiles, with a token in each call that is never told.
    """
    with secure_service() as service:
        good(service)
        with Agent(
            "localhost:%d" % service.port, **authority().environment()
        ) as agent:
            update = service.wait_updated(1)[0]
            create = service.created[0]
            for call in (create, update):
                assert call.metadata["authorization"].startswith("Bearer ey")
            # The project is the key file's.
            assert create.request.parent == "projects/key-project"
            judge(agent, extra_cpu_s=0.5)
            check_secrets(agent)


OTHER_NAME = "is not in peer certificate"
UNTRUSTED = "certificate verify failed"


@each(
    "name, want",
    ("other-name", "for another host name", "other-name", OTHER_NAME),
    ("wildcard", "for *.localhost", "wildcard", OTHER_NAME),
    ("expired", "expired", "expired", UNTRUSTED),
    ("not-yet", "not valid yet", "not-yet", UNTRUSTED),
    ("self-signed", "signed by itself", "self-signed", UNTRUSTED),
    ("unknown-ca", "signed by an unknown CA", "unknown-ca", UNTRUSTED),
)
def test_a_certificate_that_is_no_good(name, want):
    """The certificate of the service is {}.
    Sends nothing; warns at the third failure; backs off; tries for ever.
    """
    try_tls(shake_hands(authority().context(name)), [want])


def test_a_trust_store_of_others():
    """The program trusts a CA that has not signed the service's certificate.
    Sends nothing; warns at the third failure; backs off.
    """
    roots = authority().path("stranger.pem")
    with secure_service() as service:
        environ = authority().environment(GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=roots)
        with Agent("https://localhost:%d" % service.port, **environ) as agent:
            agent.wait_failures()
            agent.assert_alive()
            assert not service.created
            agent.finish()
            (text,) = agent.said("WARNING")
            assert UNTRUSTED in text


def old_tls(visitor):
    context = authority().context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    shake_hands(context)(visitor)


def without_protocol(visitor):
    shake_hands(authority().context(protocols=()))(visitor)


def http_1(visitor):
    shake_hands(authority().context(protocols=("http/1.1",)))(visitor)


def wants_a_certificate(visitor):
    context = authority().context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority().roots)
    shake_hands(context)(visitor)


def other_ciphers(visitor):
    context = authority().context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES256-SHA")
    shake_hands(context)(visitor)


def leave(visitor):
    """Say nothing more, and end."""


def after_hello(end):
    def script(visitor):
        read_some(visitor, 100)
        end(visitor)

    return script


@each(
    "script, want",
    ("tls-1.1", "with TLS 1.1 only", old_tls, "protocol version"),
    ("ciphers", "with a cipher that is out of use", other_ciphers, "handshake failure"),
    ("no-alpn", "without a protocol chosen by ALPN", without_protocol, "ALPN"),
    ("http/1.1", "with http/1.1 chosen by ALPN", http_1, "ALPN"),
    ("client-cert", "asking for a client's certificate", wants_a_certificate, ""),
    ("closed", "closed after ClientHello", after_hello(leave), ""),
    ("reset", "reset after ClientHello", after_hello(reset), ""),
    (
        "garbage",
        "answered by garbage",
        after_hello(lambda visitor: visitor.sendall(os.urandom(4096))),
        "",
    ),
    (
        "plaintext",
        "answered in plain text: the port is none for TLS",
        after_hello(lambda visitor: visitor.sendall(frame(SETTINGS))),
        "",
    ),
    (
        "http",
        "answered by an HTTP/1.1 server",
        after_hello(lambda visitor: visitor.sendall(b"HTTP/1.1 400 No\r\n\r\n")),
        "",
    ),
    (
        "alert",
        "answered by the alert handshake_failure",
        after_hello(lambda visitor: visitor.sendall(b"\x15\x03\x03\0\x02\x02\x28")),
        "handshake failure",
    ),
    (
        "dropped",
        "dropped as it is complete",
        lambda visitor: shake_hands(authority().context(), leave)(visitor),
        "",
    ),
)
def test_a_handshake_that_fails(script, want):
    """The TLS handshake is {}.
    Sends nothing; warns at the third failure; backs off; tries for ever.
    """
    try_tls(script, ["UNAVAILABLE: .*" + want])


@takes(22)
def test_a_handshake_without_an_answer():
    """The TLS handshake is never answered.
    Gives up each one after 20 s, and backs off.
    """
    try_tls(stay, None, failures=1)


def test_a_key_that_is_none():
    """The key file holds no key.
    Warns at the first time, without the key; backs off; sends nothing.
    """
    pem = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----"
    key = {
        "type": "service_account",
        "project_id": "p-1",
        "private_key": pem,
        "client_email": "a@b",
        "client_id": "1",
        "private_key_id": "2",
    }
    with tempfile.TemporaryDirectory() as folder, secure_service() as service:
        path = os.path.join(folder, "key.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(key, file)
        environ = authority().environment(GOOGLE_APPLICATION_CREDENTIALS=path)
        with Agent("localhost:%d" % service.port, **environ) as agent:
            agent.wait_failures()
            agent.assert_alive()
            agent.finish()
            (text,) = agent.said("WARNING")
            assert text.startswith(FAILED) and "UNAUTHENTICATED" in text
            assert not any("hush" in r.text for r in agent.records)
        assert not service.created
