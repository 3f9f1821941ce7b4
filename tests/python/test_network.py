"""Which certificates and which proxy, by the environment."""

import sys

import pytest
from googlecloudprofiler import _network
from googlecloudprofiler._network import find_proxy, find_roots

HOST = "cloudprofiler.googleapis.com"
PROXY = "http://proxy.test:3128"


def test_grpcs_own_variable_counts_alone():
    environ = {
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/g.pem",
        "SSL_CERT_FILE": "/f.pem",
        "SSL_CERT_DIR": "/d",
    }
    assert find_roots(environ) == ("/g.pem",)


def test_openssls_variables_count_alone_the_file_first():
    assert find_roots({"SSL_CERT_FILE": "/f.pem"}) == ("/f.pem",)
    assert find_roots({"SSL_CERT_DIR": "/d:/e::"}) == ("/d", "/e")
    both = {"SSL_CERT_FILE": "/f.pem", "SSL_CERT_DIR": "/d"}
    assert find_roots(both) == ("/f.pem", "/d")


def test_the_systems_come_before_certifis(monkeypatch):
    monkeypatch.setattr(_network, "_find_certifi", lambda: ("/certifi/cacert.pem",))
    roots = find_roots({"SSL_CERT_FILE": "", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ""})
    assert roots[0] == "/etc/ssl/certs/ca-certificates.crt"
    assert roots[-2:] == ("/etc/pki/tls/certs", "/certifi/cacert.pem")


def test_no_more_places_than_the_agent_takes(monkeypatch):
    """src/agent/link.h: CPROF_MAX_ROOTS."""
    monkeypatch.setattr(_network, "_find_certifi", lambda: ("/certifi/cacert.pem",))
    assert len(find_roots({})) <= 16


def test_certifi_is_found_without_an_import(monkeypatch, tmp_path):
    package = tmp_path / "certifi"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "certifi", raising=False)
    assert _network._find_certifi() == (str(package / "cacert.pem"),)
    assert "certifi" not in sys.modules


def test_certifi_may_be_missing_or_strange(monkeypatch):
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert _network._find_certifi() == ()
    monkeypatch.setitem(sys.modules, "certifi", type(sys)("certifi"))
    assert _network._find_certifi() == ()


@pytest.mark.parametrize(
    "environ, proxy",
    [
        ({}, None),
        ({"https_proxy": ""}, None),
        ({"http_proxy": PROXY, "all_proxy": PROXY}, None),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY + "/"}, PROXY),
        ({"https_proxy": " " + PROXY + " "}, PROXY),
        ({"https_proxy": "proxy.test:3128"}, PROXY),
        ({"https_proxy": "HTTP://proxy.test:3128"}, PROXY),
        ({"https_proxy": "http://proxy.test"}, "http://proxy.test:80"),
        ({"https_proxy": "http://[2001:db8::1]:3128"}, "http://[2001:db8::1]:3128"),
        ({"https_proxy": "http://u:p@proxy.test:1"}, "http://u:p@proxy.test:1"),
        ({"https_proxy": "u:p%2F%25@proxy.test:1"}, "http://u:p%2F%25@proxy.test:1"),
    ],
)
def test_the_proxy_is_https_proxys(environ, proxy):
    assert find_proxy(HOST, environ) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "https://u:hush@proxy.test:3128",
        "socks5://u:hush@proxy.test:1080",
        "http://u:hush@proxy.test:3128/path",
        "http://u:hush@proxy.test:port",
        "http://u:hush@proxy.test:123456",
        "http://u:hush@",
        "http://u:hush@\nproxy.test:1",
        "http://u:hu sh@proxy.test:1",
        "http://u:hush@proxy.test:1\x1b[2J",
        # What would end before the password does, and show up as a name.
        "http://u:hush#1@proxy.test:3128",
        "http://u:hush/1@proxy.test:3128",
        "http://u:hush?1@proxy.test:3128",
        "http://u:hush@1@proxy.test:3128",
        "http://u:hush%@proxy.test:3128",
        "http://u:hush%4@proxy.test:3128",
        # Core takes what follows the @ for the proxy, and then no proxy at all.
        "http://u:hush%40@proxy.test:3128",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(text):
    with pytest.raises(_network.ProxyError, match="must be of the form") as error:
        find_proxy(HOST, {"https_proxy": text})
    assert "hush" not in str(error.getrepr(chain=True, style="value"))
    assert "hush" not in str(error.value)


# no_proxy, a host that it exempts, one that it does not.
EXEMPT = [
    ("googleapis.com", "cloudprofiler.googleapis.com", "notgoogleapis.com"),
    ("googleapis.com", "googleapis.com", "googleapis.com.evil.test"),
    (".googleapis.com", "cloudprofiler.googleapis.com", "xgoogleapis.com"),
    (".googleapis.com", "googleapis.com", "googleapis"),
    ("*.googleapis.com", "cloudprofiler.googleapis.com", "google.com"),
    ("GoogleAPIs.COM", "cloudprofiler.googleapis.com", "apis.com"),
    ("googleapis.com", "CloudProfiler.GoogleAPIs.com", "apis.com"),
    ("googleapis.com.", "cloudprofiler.googleapis.com", "apis.com"),
    ("googleapis.com", "cloudprofiler.googleapis.com.", "apis.com"),
    ("a.test, b.test", "b.test", "c.test"),
    ("a.test b.test", "b.test", "a.test.b"),
    (" ,,a.test,", "a.test", "b.test"),
    ("*", "anything.test", None),
    ("a.test,*", "10.0.0.1", None),
    ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
    ("0.0.1", "x.0.0.1", "10.0.0.1"),
    ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
    ("10.0.0.7/8", "10.255.0.1", "11.0.0.1"),
    ("192.168.1.0/31", "192.168.1.1", "192.168.1.2"),
    ("::1", "[::1]", "[::2]"),
    ("[::1]", "::1", "::2"),
    ("0:0:0:0:0:0:0:1", "::1", "::2"),
    ("2001:DB8::/32", "2001:db8:1::5", "2001:db9::1"),
    ("2001:db8::/32", "[2001:db8::5]", "10.0.0.1"),
]


@pytest.mark.parametrize("no_proxy, inside, outside", EXEMPT)
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_is_read_as_curl_does(variable, no_proxy, inside, outside):
    environ = {"https_proxy": PROXY, variable: no_proxy}
    assert find_proxy(inside, environ) is None
    if outside:
        assert find_proxy(outside, environ) == PROXY


@pytest.mark.parametrize("no_proxy", ["", " ", ",", "/", "10.0.0.0/33", "/8", "[", "."])
def test_what_is_nothing_exempts_nothing(no_proxy):
    environ = {"https_proxy": PROXY, "no_proxy": no_proxy}
    assert find_proxy(HOST, environ) == PROXY
    assert find_proxy("10.0.0.1", environ) == PROXY


def test_the_lower_case_no_proxy_counts():
    environ = {"https_proxy": PROXY, "no_proxy": "a.test", "NO_PROXY": "b.test"}
    assert find_proxy("a.test", environ) is None
    assert find_proxy("b.test", environ) == PROXY
