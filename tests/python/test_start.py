"""start(): what it refuses, in which words, and what it leaves as it was."""

import inspect
import json
import logging
import sys

import googlecloudprofiler
import pytest
from googlecloudprofiler import _agent, _credentials

LOCAL = "http://127.0.0.1:1"
KEY = {
    "type": "service_account",
    "private_key_id": "1",
    "private_key": "-----BEGIN PRIVATE KEY-----",
    "client_email": "agent@p-9.test",
    "client_id": "2",
}
REGEX = "^[a-z0-9]([-a-z0-9_.]{0,253}[a-z0-9])?$"
NO_PROJECT = (
    "Unable to determine the project ID from the environment. project ID mush be "
    "provided if running outside of GCP."
)
NO_SERVICE = (
    "Service name must be provided via configuration or GAE_SERVICE environment "
    "variable."
)
SECOND_CALL = (
    "googlecloudprofiler.start() called again after it was previously called. This "
    "function should only be called once. This call is ignored."
)


@pytest.fixture
def key(tmp_path):
    """key(content) writes a credentials file and returns its path."""

    def write(content):
        path = tmp_path / "key.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def start(**options):
    options.setdefault("service", "web")
    options.setdefault("api_endpoint", LOCAL)
    return googlecloudprofiler.start(**options)


def words(error):
    return str(error.value)


# Keyword arguments, exception, and the message; of an endpoint's, a part.
WRONG = [
    (
        {"disable_cpu_profiling": True, "disable_wall_profiling": True},
        ValueError,
        "No profiling mode is enabled.",
    ),
    ({"service": None}, ValueError, NO_SERVICE),
    ({"service": ""}, ValueError, NO_SERVICE),
    *(
        (
            {"service": name},
            ValueError,
            'Service name "%s" does not match regular expression "%s"' % (name, REGEX),
        )
        for name in ("Web", "-web", "web-", "a b", "web\n", "\u00fc", "a" * 256, ".")
    ),
    ({"service": 7}, TypeError, None),
    ({"service": b"web"}, TypeError, None),
    ({"verbose": -5}, IndexError, None),
    ({"verbose": "1"}, TypeError, None),
    ({"verbose": None}, TypeError, None),
    ({"verbose": 1.5}, TypeError, None),
    *(
        (
            {"period_ms": period},
            ValueError,
            "period_ms must be between 1 and 1000, not %s" % period,
        )
        for period in (0, -1, 0.99, 1001, 10**30, float("inf"), float("nan"))
    ),
    ({"period_ms": "10"}, TypeError, "period_ms must be a number, not str"),
    ({"period_ms": None}, TypeError, "period_ms must be a number, not NoneType"),
    ({"period_ms": True}, TypeError, "period_ms must be a number, not bool"),
    ({"api_endpoint": "http://example.test:80"}, ValueError, "is not on this host"),
    ({"api_endpoint": "http://10.0.0.1:80"}, ValueError, "is not on this host"),
    ({"api_endpoint": "http://127.0.0.1"}, ValueError, "must look like host:port"),
    ({"api_endpoint": "ftp://x:1"}, ValueError, "must look like host:port"),
    ({"api_endpoint": "unix:"}, ValueError, "names no socket"),
]


@pytest.mark.parametrize("options, exception, message", WRONG)
def test_a_wrong_argument_is_refused(native, options, exception, message):
    with pytest.raises(exception) as error:
        start(**options)
    if message is not None and "api_endpoint" in options:
        assert message in words(error)
    elif message is not None:
        assert words(error) == message
    assert native.started == []


@pytest.mark.parametrize("options, exception, message", WRONG)
def test_a_start_that_failed_can_be_done_again(native, options, exception, message):
    with pytest.raises(exception):
        start(**options)
    start()
    assert len(native.started) == 1


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd13"])
def test_another_system_is_refused(native, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(NotImplementedError) as error:
        start()
    assert words(error) == "%s OS is not supported." % platform


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(_agent._State, "pid", None)
    monkeypatch.setattr(
        _agent.sys, "implementation", type("I", (), {"name": "pypy"})
    )
    with pytest.raises(NotImplementedError, match="'pypy'; it serves CPython"):
        start()


FAILURES = [
    (OSError("no thread"), "no thread"),
    (MemoryError(), "MemoryError"),
    (RuntimeError("no start"), "no start"),
    (ImportError("no module"), "no module"),
]


@pytest.mark.parametrize("failure, said", FAILURES, ids=[s for _, s in FAILURES])
def test_what_the_system_refuses_is_an_error_line_and_can_be_retried(
    native, caplog, failure, said
):
    native.failure = failure
    start()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "Cannot start profiling: " + said)
    ]
    native.failure = None
    start()
    assert len(native.started) == 1


def test_what_fails_behind_the_agents_start_stops_it(native, monkeypatch, caplog):
    def refuse():
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_agent, "_give_tokens", refuse)
    start()
    assert (len(native.started), native.stopped) == (1, 1)
    assert "can't start new thread" in caplog.text


# Only the documented exceptions leave start() for these.
def test_no_credentials_is_a_value_error_that_says_what_to_do(native):
    with pytest.raises(ValueError, match="GOOGLE_APPLICATION_CREDENTIALS") as error:
        start(api_endpoint=None)
    assert isinstance(error.value, _credentials.CredentialsError)


def test_a_missing_key_file_is_both_kinds_of_error(native, tmp_path):
    path = str(tmp_path / "none.json")
    with pytest.raises(ValueError) as error:
        start(api_endpoint=None, service_account_json_file=path)
    assert isinstance(error.value, FileNotFoundError)
    assert words(error) == "credentials file '%s' does not exist" % path


@pytest.mark.parametrize(
    "content",
    [
        "{hush",
        '{"type": hush}',
        '["hush"]',
        '"hush"',
        '{"hush": 1}',
        "7",
        "",
        "null",
        '{"type": "service_account"} hush',
    ],
)
def test_broken_json_is_refused_without_a_word_of_it(native, key, content):
    path = key(content)
    with pytest.raises(ValueError) as error:
        start(api_endpoint=None, service_account_json_file=path)
    shown = error.getrepr(chain=True, showlocals=False, style="value")
    assert "hush" not in words(error)
    assert "hush" not in str(shown)
    assert error.value.__cause__ is None
    assert path in words(error)


@pytest.mark.parametrize(
    "kind",
    [
        "external_account_authorized_user",
        "impersonated_service_account",
        "gdch_service_account",
        "something",
        7,
        None,
    ],
)
def test_credentials_of_another_type_are_refused_by_name(native, key, kind):
    path = key({"type": kind, "project_id": "p-1"})
    with pytest.raises(ValueError) as error:
        start(api_endpoint=None, service_account_json_file=path)
    assert repr(str(kind)) in words(error)
    for supported in ("authorized_user", "service_account"):
        assert supported in words(error)


@pytest.mark.parametrize("field", sorted(set(KEY) - {"type", "client_id"}))
@pytest.mark.parametrize("value", [None, "", 7])
def test_a_key_file_without_what_a_token_needs_is_refused(native, key, field, value):
    path = key(dict(KEY, **{field: value}))
    with pytest.raises(ValueError) as error:
        start(api_endpoint=None, service_account_json_file=path)
    assert words(error) == "credentials file '%s' has no %s" % (path, field)


def test_a_key_that_is_none_is_refused_without_the_key(native, key):
    path = key(dict(KEY, private_key="hush"))
    with pytest.raises(ValueError, match="not in PEM form") as error:
        start(api_endpoint=None, service_account_json_file=path)
    assert "hush" not in words(error)


def test_no_project_is_refused_with_the_originals_words(native, key):
    path = key(KEY)
    with pytest.raises(ValueError) as error:
        start(api_endpoint=None, service_account_json_file=path)
    assert words(error) == NO_PROJECT


def test_the_originals_order_of_checks(native, key):
    """Credentials, then types, then the project, then the service."""
    options = {
        "api_endpoint": None,
        "service": "Wrong",
        "disable_cpu_profiling": True,
        "disable_wall_profiling": True,
    }
    with pytest.raises(ValueError, match="no credentials"):
        start(**options)
    options["service_account_json_file"] = key(KEY)
    with pytest.raises(ValueError, match="No profiling mode"):
        start(**options)
    options["disable_wall_profiling"] = False
    with pytest.raises(ValueError, match="project ID mush"):
        start(**options)
    options["project_id"] = "p-1"
    with pytest.raises(ValueError, match="does not match"):
        start(**options)


@pytest.mark.parametrize(
    "verbose, level",
    [
        (0, logging.ERROR),
        (1, logging.WARNING),
        (2, logging.INFO),
        (3, logging.DEBUG),
        (4, logging.DEBUG),
        (10**30, logging.DEBUG),
        (-1, logging.DEBUG),
        (-2, logging.INFO),
        (-3, logging.WARNING),
        (-4, logging.ERROR),
        (True, logging.WARNING),
        (False, logging.ERROR),
    ],
)
def test_verbose_sets_the_level_of_the_logger(native, verbose, level):
    start(verbose=verbose)
    assert logging.getLogger("googlecloudprofiler").level == level
    assert logging.getLogger("googlecloudprofiler.client").level == logging.NOTSET


def test_the_nine_parameters_stand_in_the_originals_order(native):
    parameters = list(inspect.signature(googlecloudprofiler.start).parameters.values())
    assert [(p.name, p.default) for p in parameters[:9]] == [
        ("service", None),
        ("service_version", None),
        ("project_id", None),
        ("service_account_json_file", None),
        ("verbose", 0),
        ("disable_cpu_profiling", False),
        ("disable_wall_profiling", False),
        ("period_ms", 10),
        ("discovery_service_url", None),
    ]
    assert {p.kind for p in parameters[:9]} == {
        inspect.Parameter.POSITIONAL_OR_KEYWORD
    }
    assert {p.kind for p in parameters[9:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_nine_parameters_arrive_by_position(native, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROFILER_ENDPOINT", LOCAL)
    assert googlecloudprofiler.start(
        "web", "1.2", "p-1", None, 1, True, False, 20, None
    ) is None
    (options,) = native.started
    assert options["service"] == "web"
    assert options["labels"] == (("language", "python"), ("version", "1.2"))
    assert options["project"] == "p-1"
    assert (options["cpu"], options["wall"]) == (False, True)
    assert options["period_ns"] == 20000000
    assert logging.getLogger("googlecloudprofiler").level == logging.WARNING


def test_a_tenth_positional_argument_is_refused(native):
    with pytest.raises(TypeError):
        googlecloudprofiler.start(
            "web", None, None, None, 0, False, False, 10, None, LOCAL
        )


def test_extras_arrive_by_keyword(native):
    start(zone="z-1", instance="i-1")
    (options,) = native.started
    assert options["labels"] == (("language", "python"), ("zone", "z-1"))
    assert options["instance"] == "i-1"
    assert options["target"] == "127.0.0.1:1"
    assert not options["tls"]
    assert options["project"] == "local"


def test_a_local_endpoint_looks_at_no_credentials(native, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
    start()
    (options,) = native.started
    assert options["credentials_type"] is None
    assert options["credentials_path"] is None
    assert options["metadata_host"] is None


def test_a_key_file_arrives_with_its_project(native, key):
    path = key(dict(KEY, project_id="p-9"))
    start(api_endpoint=None, service_account_json_file=path)
    (options,) = native.started
    assert options["tls"]
    assert options["target"] == "cloudprofiler.googleapis.com:443"
    assert options["credentials_type"] == "service_account"
    assert options["credentials_path"] == path
    assert options["project"] == "p-9"


def test_a_second_call_is_ignored_with_the_originals_warning(native, caplog):
    start(verbose=1)
    with caplog.at_level(logging.WARNING, "googlecloudprofiler"):
        assert start(service="Wrong", verbose="x", period_ms=0) is None
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("googlecloudprofiler", "WARNING", SECOND_CALL)
    ]
    assert len(native.started) == 1


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "OFF", " false "])
def test_disabled_by_the_environment_nothing_happens(native, monkeypatch, value):
    monkeypatch.setenv("GOOGLE_CLOUD_PROFILER_ENABLED", value)
    monkeypatch.setattr(sys, "platform", "win32")
    assert start(service="Wrong", verbose="x") is None
    assert native.started == []
    googlecloudprofiler.stop()
    assert native.stopped == 0


def test_an_info_line_tells_the_version(native, caplog):
    start(verbose=2)
    assert (
        "googlecloudprofiler",
        logging.INFO,
        "Google Cloud Profiler Python agent version: 5.0.0",
    ) in caplog.record_tuples


@pytest.mark.parametrize(
    "option, words",
    [
        (
            "disable_cpu_profiling",
            "CPU profiling is disabled by disable_cpu_profiling",
        ),
        (
            "disable_wall_profiling",
            "Wall profiling is disabled by disable_wall_profiling",
        ),
    ],
)
def test_an_info_line_tells_of_a_disabled_type(native, caplog, option, words):
    start(verbose=2, **{option: True})
    assert ("googlecloudprofiler.client", logging.INFO, words) in caplog.record_tuples


def test_discovery_service_url_is_ignored_with_a_warning(native, caplog):
    start(verbose=1, discovery_service_url="https://example.test/rest")
    (record,) = caplog.record_tuples
    assert record[1] == logging.WARNING
    assert "discovery_service_url is ignored" in record[2]
    assert native.started[0]["target"] == "127.0.0.1:1"


def test_stop_stops_what_was_started_once(native):
    googlecloudprofiler.stop()
    assert native.stopped == 0
    start()
    googlecloudprofiler.stop()
    googlecloudprofiler.stop()
    assert native.stopped == 1
    start()
    assert len(native.started) == 2


def test_names_that_others_rely_on():
    assert googlecloudprofiler.version.__version__ == "5.0.0"
    assert googlecloudprofiler.__version__.__version__ == "5.0.0"
    assert googlecloudprofiler.start.__doc__
    assert googlecloudprofiler.stop.__doc__


def test_a_wrong_argument_meets_the_real_module(run_python):
    """The table above, once, without a stand-in for the native module."""
    run_python(
        """
import googlecloudprofiler as g
for options in (
    {"service": "Wrong"},
    {"service": "web", "period_ms": 0},
    {"service": "web", "project_id": "p\\0q"},
    {"service": "web", "service_version": "\\udc80"},
):
    try:
        g.start(api_endpoint="http://127.0.0.1:1", **options)
    except ValueError:
        pass
    else:
        raise SystemExit("%r was taken" % sorted(options))
g.start("web", api_endpoint="http://127.0.0.1:1")
g.stop()
"""
    )
