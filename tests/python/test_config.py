"""Where settings and credentials come from, and what comes first."""

import json

import pytest
from googlecloudprofiler import _config, _credentials
from googlecloudprofiler._config import Endpoint


@pytest.mark.parametrize(
    "argument, environ, want",
    [
        ("a", {"GAE_SERVICE": "b", "K_SERVICE": "c"}, "a"),
        (None, {"GAE_SERVICE": "b", "K_SERVICE": "c"}, "b"),
        ("", {"GAE_SERVICE": "", "K_SERVICE": "c"}, "c"),
        ("a", {}, "a"),
        ("0", {}, "0"),
        ("a" * 255, {}, "a" * 255),
        ("a-b_c.d", {}, "a-b_c.d"),
    ],
)
def test_service(argument, environ, want):
    assert _config.find_service(argument, environ) == want


def test_a_wrong_service_of_the_environment_is_refused():
    with pytest.raises(ValueError, match='Service name "Web" does not match'):
        _config.find_service(None, {"K_SERVICE": "Web"})


@pytest.mark.parametrize(
    "argument, environ, want",
    [
        ("1", {"GAE_VERSION": "2", "K_REVISION": "3"}, "1"),
        (None, {"GAE_VERSION": "2", "K_REVISION": "3"}, "2"),
        ("", {"GAE_VERSION": "", "K_REVISION": "3"}, "3"),
        (None, {}, None),
        ("", {}, None),
        ("Any thing\n", {}, "Any thing\n"),
    ],
)
def test_version(argument, environ, want):
    assert _config.find_version(argument, environ) == want


@pytest.mark.parametrize(
    "value, want",
    [
        ("", True),
        ("1", True),
        ("true", True),
        ("anything", True),
        ("0", False),
        ("false", False),
        (" No\n", False),
        ("OFF", False),
    ],
)
def test_enabled(value, want):
    assert _config.is_enabled({"GOOGLE_CLOUD_PROFILER_ENABLED": value}) is want
    assert _config.is_enabled({}) is True


def test_wall_threads():
    assert _config.check_wall_threads("main") is True
    assert _config.check_wall_threads("all") is False
    for wrong in ("Main", "", None, 1, ["all"]):
        with pytest.raises(ValueError, match="wall_threads must be 'all' or 'main'"):
            _config.check_wall_threads(wrong)


@pytest.mark.parametrize(
    "period_ms, want", [(1, 10**6), (10, 10**7), (1000, 10**9), (2.5, 2500000)]
)
def test_period(period_ms, want):
    found = _config.check_period_ms(period_ms)
    assert found == want
    assert type(found) is int


ENDPOINTS = [
    ("host.test:80", Endpoint("host.test:80", True, False)),
    ("host.test", Endpoint("host.test:443", True, False)),
    ("https://host.test", Endpoint("host.test:443", True, False)),
    ("https://host.test:8443", Endpoint("host.test:8443", True, False)),
    ("https://host.test:8443/", Endpoint("host.test:8443", True, False)),
    ("https://127.0.0.1:1", Endpoint("127.0.0.1:1", True, False)),
    ("[2001:db8::1]:80", Endpoint("[2001:db8::1]:80", True, False)),
    ("http://127.0.0.1:8181", Endpoint("127.0.0.1:8181", False, True)),
    ("http://127.255.0.9:1", Endpoint("127.255.0.9:1", False, True)),
    ("http://localhost:65535", Endpoint("localhost:65535", False, True)),
    ("http://[::1]:8181", Endpoint("[::1]:8181", False, True)),
    ("unix:/run/p", Endpoint("unix:/run/p", False, True)),
    ("unix:p", Endpoint("unix:p", False, True)),
]


@pytest.mark.parametrize("text, want", ENDPOINTS)
def test_endpoint(text, want):
    assert _config.find_endpoint(text, {}) == want
    environ = {"GOOGLE_CLOUD_PROFILER_ENDPOINT": text}
    assert _config.find_endpoint(None, environ) == want
    assert _config.find_endpoint("", environ) == want


def test_the_argument_beats_the_environment():
    environ = {"GOOGLE_CLOUD_PROFILER_ENDPOINT": "http://127.0.0.1:1"}
    assert _config.find_endpoint("b.test", environ).target == "b.test:443"


def test_the_default_endpoint_is_googles():
    assert _config.find_endpoint(None, {}) == Endpoint(
        "cloudprofiler.googleapis.com:443", True, False
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://host.test:80",
        "http://0.0.0.0:80",
        "http://10.0.0.1:80",
        "http://127.0.0.1.host.test:80",
        "http://1127.0.0.1:80",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:80/path",
        "http://user@127.0.0.1:80",
        "http://127.0.0.1:80\n",
        "http://localhost.:80",
        "http://[::2]:80",
        "https://",
        "https://host.test:x",
        "https://host.test/path",
        "host.test:99999",
        "host test:1",
        "http://",
        ":80",
        "unix:",
        "unix:/",
        "ftp://host.test:1",
        "dns:///host.test",
        "HTTP://127.0.0.1:1",
        "127.0.0.1:1,10.0.0.1:1",
        "h\u00f6st.test:1",
        "host.test:\u0661",
    ],
)
def test_an_endpoint_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="endpoint"):
        _config.find_endpoint(text, {})


@pytest.mark.parametrize(
    "argument, from_argument, environ, own, want",
    [
        ("a", False, {"GOOGLE_CLOUD_PROJECT": "b"}, "d", "a"),
        (None, False, {"GOOGLE_CLOUD_PROJECT": "b", "GCLOUD_PROJECT": "c"}, "d", "b"),
        ("", False, {"GOOGLE_CLOUD_PROJECT": "", "GCLOUD_PROJECT": "c"}, "d", "c"),
        (None, False, {}, "d", "d"),
        (None, True, {"GOOGLE_CLOUD_PROJECT": "b"}, "d", "d"),
        (None, True, {"GOOGLE_CLOUD_PROJECT": "b"}, None, None),
        ("a", True, {"GOOGLE_CLOUD_PROJECT": "b"}, "d", "a"),
        (None, False, {}, None, None),
    ],
)
def test_project(argument, from_argument, environ, own, want):
    credentials = _credentials.Credentials("service_account", "/k", own, None)
    found = _credentials.find_project(argument, credentials, from_argument, environ)
    assert found == want


def test_project_without_credentials():
    environ = {"GCLOUD_PROJECT": "c"}
    assert _credentials.find_project(None, None, False, environ) == "c"
    assert _credentials.find_project(None, None, False, {}) is None


KEY = {
    "private_key_id": "1",
    "private_key": "-----BEGIN PRIVATE KEY-----",
    "client_email": "agent@p-1.test",
    "client_id": "2",
    "client_secret": "3",
    "refresh_token": "4",
}


def write(path, **content):
    """A credentials file that serves for either type."""
    content = dict(KEY, **content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", ["service_account", "authorized_user"])
def test_a_credentials_file_is_handed_on_by_its_path(tmp_path, kind):
    path = write(tmp_path / "c.json", type=kind, project_id="p-1", secret="\u00fc")
    assert _credentials.load_file(path) == (kind, path, "p-1", None)


@pytest.mark.parametrize("project", [None, 7, ["p"], {}])
def test_a_project_that_is_no_text_is_none(tmp_path, project):
    path = write(tmp_path / "c.json", type="service_account", project_id=project)
    assert _credentials.load_file(path).project_id is None


def test_a_file_that_cannot_be_read_is_a_credentials_error(tmp_path):
    with pytest.raises(_credentials.CredentialsError, match="cannot read"):
        _credentials.load_file(str(tmp_path))


def test_a_file_that_is_too_long_is_refused(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(_credentials.CredentialsError, match="too long"):
        _credentials.load_file(str(path))


@pytest.mark.parametrize("data", [b"\xff\xfe{}", b"\x00" * 10, b"[" * 100000])
def test_bytes_that_are_no_json_are_a_credentials_error(tmp_path, data):
    path = tmp_path / "c.json"
    path.write_bytes(data)
    with pytest.raises(_credentials.CredentialsError, match="is not a JSON object"):
        _credentials.load_file(str(path))


def test_default_credentials_are_looked_for_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _credentials.find_default({}) is None
    name = "application_default_credentials.json"
    home = tmp_path / ".config" / "gcloud"
    write(home / name, type="authorized_user", project_id="3")
    assert _credentials.find_default({}).project_id == "3"
    write(tmp_path / "sdk" / name, type="authorized_user", project_id="2")
    environ = {"CLOUDSDK_CONFIG": str(tmp_path / "sdk")}
    assert _credentials.find_default(environ).project_id == "2"
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = write(
        tmp_path / "k.json", type="service_account", project_id="1"
    )
    assert _credentials.find_default(environ).project_id == "1"


def test_a_file_that_the_environment_names_must_be_there(tmp_path):
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none")}
    with pytest.raises(FileNotFoundError):
        _credentials.find_default(environ)
