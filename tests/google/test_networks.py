"""How the service is reached: by a proxy, by IPv6, by a name that comes and goes."""

import base64
import socket

import pytest
from endpoints import Proxy
from fake_service import assign, hang
from secure import SecureService

HUSH = "hush-hush"


@pytest.fixture
def begin(watch, key_file):
    def run(before="", **environ):
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = key_file
        return watch(before=before, **environ)

    return run


@pytest.fixture
def proxy():
    with Proxy() as p:
        yield p


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
def test_the_variables_proxy_is_asked_to_connect(begin, secure, proxy, variable):
    secure.on_create.append(assign("CPU", 0.1))
    program = begin(**{variable: "http://" + proxy.host})
    secure.wait_updated(1)
    assert program.end() == []
    # One connection for all calls, and the proxy sees nothing but TLS in it.
    ((target, headers),) = proxy.asked
    assert target == "localhost:%d" % secure.port
    assert "proxy-authorization" not in headers
    assert "authorization" not in headers


def test_the_name_is_the_proxys_to_look_up(begin, secure, proxy):
    """Programs behind one may have no DNS."""
    proxy.to = secure.port
    program = begin(
        https_proxy="http://" + proxy.host,
        GOOGLE_CLOUD_PROFILER_ENDPOINT="https://profiler.test",
    )
    secure.wait_created(1)
    assert proxy.asked[0][0] == "profiler.test:443"
    assert program.end() == []


@pytest.mark.parametrize(
    "user, sent",
    [("user:" + HUSH, "user:" + HUSH), ("us%2Fer:hush%3Ahush", "us/er:hush:hush")],
)
def test_a_user_and_a_password_go_to_the_proxy_alone(begin, secure, proxy, user, sent):
    secure.on_create.append(assign("CPU", 0.1))
    program = begin(https_proxy="http://%s@%s" % (user, proxy.host))
    secure.wait_updated(1)
    basic = "Basic " + base64.b64encode(sent.encode()).decode()
    assert proxy.asked[0][1]["proxy-authorization"] == basic
    for call in (secure.created[0], secure.updated[0]):
        assert "proxy-authorization" not in call.metadata
    assert program.end() == []
    assert "hush" not in program.text()
    assert basic not in program.text()


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_goes_around_it(begin, secure, proxy, variable):
    environ = {"https_proxy": "http://" + proxy.host, variable: "other.test,localhost"}
    program = begin(**environ)
    secure.wait_created(1)
    assert proxy.asked == []
    assert program.end() == []


@pytest.mark.parametrize("variable", ["http_proxy", "grpc_proxy", "GRPC_PROXY"])
def test_other_variables_do_not_count(begin, secure, proxy, variable):
    program = begin(**{variable: "http://" + proxy.host})
    secure.wait_created(1)
    assert proxy.asked == []
    assert program.end() == []


def test_a_proxy_that_cannot_be_used_is_told_and_gone_without(begin, secure):
    program = begin(https_proxy="http://user:%s@1@proxy.test:1" % HUSH)
    secure.wait_created(1)
    (warning,) = program.end()
    assert warning.startswith("The proxy is not used: https_proxy must be")
    assert HUSH not in program.text()


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_told_once_until_it_lets_us_through(
    begin, secure, proxy, status
):
    proxy.status = status
    program = begin(https_proxy="http://user:%s@%s" % (HUSH, proxy.host))
    words = program.hear("Failed to create profile", "WARNING")
    assert "HTTP proxy returned response code %d" % status in words
    assert words.endswith("check the network, the firewall and https_proxy")
    program.hear("Failed to create profile", "DEBUG", count=3)
    assert secure.created == []
    proxy.status = 200
    secure.wait_created(1)
    assert len(program.end()) == 1
    assert HUSH not in program.text()


def test_a_proxy_that_is_not_there_is_told_once(begin, secure):
    program = begin(https_proxy="http://user:%s@127.0.0.1:1" % HUSH)
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith("check the network, the firewall and https_proxy")
    program.hear("Failed to create profile", "DEBUG", count=3)
    assert len(program.end()) == 1
    assert HUSH not in program.text()
    assert secure.created == []


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["[::1]", "localhost"])
def test_a_service_with_ipv6_alone_is_reached(begin, authority, host):
    with SecureService(authority, host="[::1]") as service:
        service.on_create.append(assign("CPU", 0.1))
        program = begin(
            GOOGLE_CLOUD_PROFILER_ENDPOINT="https://%s:%d" % (host, service.port)
        )
        service.wait_updated(1)
        assert program.end() == []


def test_a_name_that_does_not_resolve_at_first_needs_no_restart(begin, secure, hosts):
    secure.on_create.append(assign("CPU", 0.1))
    program = begin(
        hosts.before,
        GOOGLE_CLOUD_PROFILER_ENDPOINT="https://profiler.test:%d" % secure.port,
    )
    words = program.hear("Failed to create profile")
    assert "DNS" in words or "errors resolving profiler.test" in words
    hosts.names({"profiler.test": "127.0.0.1"})
    secure.wait_updated(1)
    assert len(program.end()) <= 1


def test_a_service_that_moves_is_found_at_its_new_address(
    begin, secure, authority, hosts
):
    hosts.names({"profiler.test": "127.0.0.1"})
    program = begin(
        hosts.before,
        GOOGLE_CLOUD_PROFILER_ENDPOINT="https://profiler.test:%d" % secure.port,
    )
    secure.wait_created(1)
    hosts.names({"profiler.test": "127.0.0.2"})
    with SecureService(authority, secure.port, "127.0.0.2") as other:
        other.on_create.append(assign("CPU", 0.1))
        secure.stop()
        other.wait_updated(1)
        assert len(program.end()) <= 1


def test_a_service_that_restarts_on_another_port_is_found_through_its_proxy(
    begin, secure, authority, proxy
):
    """The port is part of the endpoint: only who stands before it can change it."""
    proxy.to = secure.port
    program = begin(
        https_proxy="http://" + proxy.host,
        GOOGLE_CLOUD_PROFILER_ENDPOINT="https://profiler.test",
    )
    secure.wait_created(1)
    with SecureService(authority) as other:
        other.on_create.append(assign("CPU", 0.1))
        other.create_default = hang
        proxy.to = other.port
        secure.stop()
        other.wait_updated(1)
        assert len(program.end()) <= 1
