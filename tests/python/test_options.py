"""What start() makes of each platform's environment, and when it gives up."""

import json
import logging

import googlecloudprofiler
import pytest
from googlecloudprofiler import _agent, _platform

GOOGLES = _platform.METADATA_HOST
CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
RUN = {"K_SERVICE": "shop", "K_REVISION": "shop-1"}
STANDARD = {
    "GAE_ENV": "standard",
    "GAE_SERVICE": "shop",
    "GAE_VERSION": "7",
    "GOOGLE_CLOUD_PROJECT": "env-project",
}
FLEXIBLE = {"GAE_SERVICE": "shop", "GAE_VERSION": "7", "GCLOUD_PROJECT": "env-project"}
USER = {
    "type": "authorized_user",
    "client_id": "1",
    "client_secret": "hush",
    "refresh_token": "hush",
}


@pytest.fixture
def begin(native, monkeypatch, tmp_path):
    """begin(environ, google=False, **start) calls start(); it is what the native
    agent was told. `google` is whether the machine shows to be Google's."""

    def run(environ, google=False, **start):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        if google:
            (tmp_path / "product").write_text("Google Compute Engine\n")
            monkeypatch.setattr(_platform, "DMI_PATH", str(tmp_path / "product"))
        googlecloudprofiler.start(**start)
        return native.started[-1]

    return run


@pytest.fixture
def user(tmp_path):
    """user(**fields) is the path of a user's credentials file."""

    def write(**fields):
        path = tmp_path / "user.json"
        path.write_text(json.dumps(dict(USER, **fields)))
        return str(path)

    return write


class Object:
    token = None
    expiry = None

    def refresh(self, request):
        raise AssertionError("nobody asks here")


@pytest.fixture
def no_tokens(monkeypatch):
    class Refresher:
        def __init__(self, credentials, give, fail):
            pass

        def stop(self):
            pass

    monkeypatch.setattr(_agent._tokens, "Refresher", Refresher)
    monkeypatch.setattr(_agent._State, "tokens", None)


# Environment, whether the machine shows, start()'s service; project, service, version.
PLATFORMS = [
    ({}, True, "web", None, "web", None),
    (CLUSTER, True, "web", None, "web", None),
    (STANDARD, False, None, "env-project", "shop", "7"),
    (FLEXIBLE, True, None, "env-project", "shop", "7"),
    (RUN, False, None, None, "shop", "shop-1"),
    (dict(RUN, FUNCTION_TARGET="f"), False, None, None, "shop", "shop-1"),
    ({"CLOUD_RUN_JOB": "j"}, False, "web", None, "web", None),
    ({"CLOUD_RUN_WORKER_POOL": "p"}, False, "web", None, "web", None),
]


@pytest.mark.parametrize("environ, google, given, project, service, version", PLATFORMS)
def test_a_platform_leads_to_its_metadata_server_without_asking_it(
    begin, native, environ, google, given, project, service, version
):
    told = begin(environ, google, service=given)
    assert native.asked == []
    assert told["metadata_host"] == GOOGLES
    assert told["credentials_type"] == "metadata"
    assert (told["project"], told["service"]) == (project, service)
    version = (("version", version),) if version else ()
    assert told["labels"] == (("language", "python"), *version)
    # False: the zone is wanted from the metadata server.
    assert told["zone"] is False
    assert told["instance"] is None
    assert told["tls"] and told["target"] == "cloudprofiler.googleapis.com:443"


def test_a_job_has_to_be_given_a_name(begin):
    with pytest.raises(ValueError, match="Service name must be provided"):
        begin({"CLOUD_RUN_JOB": "nightly"})


def test_gce_metadata_host_is_handed_on(begin, native):
    told = begin({"GCE_METADATA_HOST": "127.0.0.1:8080"}, service="web")
    assert told["metadata_host"] == "127.0.0.1:8080"
    assert native.asked == []


def test_nothing_of_googles_is_a_value_error_at_once(begin, native):
    with pytest.raises(ValueError, match="no credentials"):
        begin({}, service="web", project_id="p-1")
    assert native.asked == []


def test_no_gce_check_leaves_nothing_of_googles(begin, native):
    with pytest.raises(ValueError, match="no credentials"):
        begin({"NO_GCE_CHECK": "true"}, True, service="web", project_id="p-1")
    assert native.asked == []


@pytest.mark.parametrize("answer", [OSError("no answer within 1.0 s"), None, ""])
def test_a_cluster_without_a_metadata_server_is_asked_once(begin, native, answer):
    """Other clouds have a server at the same address, which knows no project."""
    native.project = answer
    with pytest.raises(ValueError, match="no credentials"):
        begin(CLUSTER, service="web", project_id="p-1")
    assert native.asked == [(GOOGLES, "project/project-id", 1.0)]


def test_a_cluster_with_a_metadata_server_is_asked_once(begin, native):
    native.project = "metadata-project"
    told = begin(CLUSTER, service="web")
    assert native.asked == [(GOOGLES, "project/project-id", 1.0)]
    assert told["metadata_host"] == GOOGLES
    assert told["credentials_type"] == "metadata"
    # The agent asks for it by itself.
    assert told["project"] is None


def test_a_cluster_is_asked_where_credentials_tell_no_project(begin, native, user):
    environ = dict(CLUSTER, GOOGLE_APPLICATION_CREDENTIALS=user())
    with pytest.raises(ValueError, match="Unable to determine the project ID"):
        begin(environ, service="web")
    assert len(native.asked) == 1
    native.project = "metadata-project"
    told = begin({}, service="web")
    assert told["credentials_type"] == "authorized_user"
    assert told["metadata_host"] == GOOGLES


@pytest.mark.parametrize("source", ["argument", "environment", "file"])
def test_a_cluster_is_not_asked_where_all_is_known(begin, native, user, source):
    environ = dict(CLUSTER)
    start = {"service": "web"}
    fields = {"project_id": "p-1"} if source == "file" else {}
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = user(**fields)
    if source == "argument":
        start["project_id"] = "p-1"
    if source == "environment":
        environ["GOOGLE_CLOUD_PROJECT"] = "p-1"
    told = begin(environ, **start)
    assert native.asked == []
    assert told["project"] == "p-1"
    # It may know the zone.
    assert told["metadata_host"] == GOOGLES


def test_a_cluster_is_not_asked_for_an_objects_sake(begin, native, no_tokens):
    told = begin(CLUSTER, service="web", project_id="p-1", credentials=Object())
    assert native.asked == []
    assert told["credentials_type"] == "object"


def test_what_is_no_credentials_object_is_a_type_error(begin, native):
    with pytest.raises(TypeError, match=r"must be an object of .*, not str"):
        begin({}, service="web", project_id="p-1", credentials="hush")


def test_an_object_goes_before_files(begin, no_tokens, user):
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": user(project_id="p-1")}
    told = begin(environ, service="web", project_id="p-2", credentials=Object())
    assert told["credentials_type"] == "object"
    assert told["credentials_path"] is None


def test_the_argument_goes_before_the_environments_file(begin, user, tmp_path):
    path = tmp_path / "argument.json"
    path.write_text(json.dumps(dict(USER, project_id="p-1")))
    environ = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none"),
        # Not where the file comes from the argument, as the original has it.
        "GOOGLE_CLOUD_PROJECT": "env-project",
    }
    told = begin(environ, service="web", service_account_json_file=str(path))
    assert told["credentials_path"] == str(path)
    assert told["project"] == "p-1"


@pytest.mark.parametrize("variable", ["HOME", "CLOUDSDK_CONFIG"])
def test_gclouds_own_file_is_found(begin, tmp_path, variable):
    folder = tmp_path / "home"
    config = folder if variable == "CLOUDSDK_CONFIG" else folder / ".config" / "gcloud"
    config.mkdir(parents=True)
    path = config / "application_default_credentials.json"
    path.write_text(json.dumps(USER))
    told = begin({variable: str(folder)}, service="web", project_id="p-1")
    assert told["credentials_path"] == str(path)
    assert told["credentials_type"] == "authorized_user"


def test_who_pays_is_the_variables_or_the_files(begin, native, user, monkeypatch):
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": user(quota_project_id="file-pays")}
    told = begin(environ, service="web", project_id="p-1")
    assert told["quota_project"] == "file-pays"
    googlecloudprofiler.stop()
    environ = {"GOOGLE_CLOUD_QUOTA_PROJECT": "variable-pays"}
    told = begin(environ, service="web", project_id="p-1")
    assert told["quota_project"] == "variable-pays"


@pytest.mark.parametrize("name", ["version", "zone", "instance"])
def test_a_label_that_is_too_long_is_cut_with_one_warning(begin, caplog, name):
    value = "x" + 300 * "\u00fc"
    start = {"service_version" if name == "version" else name: value}
    told = begin({}, True, service="web", verbose=1, **start)
    labels = dict(told["labels"], instance=told["instance"])
    assert labels[name] == "x" + 239 * "\u00fc"
    assert caplog.record_tuples == [
        (
            "googlecloudprofiler.client",
            logging.WARNING,
            "The %s is longer than the 480 bytes that a label may have, and is cut"
            % name,
        )
    ]


def test_a_label_that_just_fits_is_left_alone(begin, caplog):
    told = begin({}, True, service="web", verbose=1, zone=480 * "z")
    assert dict(told["labels"])["zone"] == 480 * "z"
    assert caplog.records == []


def test_a_proxy_that_cannot_be_used_is_one_warning_without_its_password(begin, caplog):
    environ = {"https_proxy": "https://user:hush@proxy.test:3128"}
    told = begin(environ, True, service="web", verbose=1)
    assert told["proxy"] is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("The proxy is not used: https_proxy must be")
    assert "hush" not in caplog.text


def test_a_proxy_counts_for_the_endpoints_host(begin, monkeypatch):
    environ = {"https_proxy": "http://proxy.test:1", "no_proxy": "googleapis.com"}
    assert begin(environ, True, service="web")["proxy"] is None
    googlecloudprofiler.stop()
    start = {"service": "web", "api_endpoint": "https://[2001:db8::1]:443"}
    assert begin({}, True, **start)["proxy"] == "http://proxy.test:1"
    googlecloudprofiler.stop()
    environ = {"no_proxy": "2001:db8::/32"}
    assert begin(environ, True, **start)["proxy"] is None


@pytest.fixture
def token(tmp_path):
    """The path of a token for a service of one's own."""
    path = tmp_path / "token"
    path.write_text("hush-hush-0123456789")
    return str(path)


@pytest.mark.parametrize(
    "endpoint", ["https://profiles.corp.test", "http://127.0.0.1:8181", "unix:/x"]
)
@pytest.mark.parametrize("google", [False, True])
def test_a_token_file_is_all_that_an_own_service_needs(
    begin, native, user, token, endpoint, google
):
    """Whatever of Google's there is, too: nothing of it is for this service."""
    environ = {
        "GOOGLE_CLOUD_PROFILER_ENDPOINT": endpoint,
        "GOOGLE_CLOUD_PROFILER_TOKEN_FILE": token,
    }
    if google:
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = user(quota_project_id="payer")
        environ["GOOGLE_CLOUD_QUOTA_PROJECT"] = "payer"
    told = begin(environ, google, service="web")
    assert told["credentials_type"] == "token_file"
    assert told["credentials_path"] == token
    assert told["project"] == "local"
    assert told["metadata_host"] is told["quota_project"] is None
    assert native.asked == []


def test_a_token_file_goes_before_credentials_of_arguments(begin, user, token):
    told = begin(
        {"GOOGLE_CLOUD_PROFILER_TOKEN_FILE": token},
        api_endpoint="profiles.corp.test:443",
        service="web",
        project_id="p-1",
        service_account_json_file=user(),
        credentials=Object(),
    )
    assert told["credentials_type"] == "token_file"
    assert told["project"] == "p-1"


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "cloudprofiler.googleapis.com",
        "https://CloudProfiler.GoogleAPIs.com.:443",
        "private.googleapis.com:443",
        "googleapis.com",
    ],
)
def test_a_token_of_ones_own_is_never_sent_to_google(
    begin, user, token, caplog, endpoint
):
    told = begin(
        {
            "GOOGLE_CLOUD_PROFILER_TOKEN_FILE": token,
            "GOOGLE_APPLICATION_CREDENTIALS": user(),
        },
        api_endpoint=endpoint,
        service="web",
        project_id="p-1",
        verbose=1,
    )
    assert told["credentials_type"] == "authorized_user"
    assert token not in repr(told)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith("GOOGLE_CLOUD_PROFILER_TOKEN_FILE is ignored")


def test_a_name_that_ends_like_googles_is_not_googles(begin, token):
    told = begin(
        {"GOOGLE_CLOUD_PROFILER_TOKEN_FILE": token},
        api_endpoint="notgoogleapis.com:443",
        service="web",
    )
    assert told["credentials_type"] == "token_file"


@pytest.mark.parametrize("endpoint", ["https://localhost:1", "http://127.0.0.1:1"])
def test_a_token_file_that_is_missing_is_refused(begin, tmp_path, endpoint):
    environ = {"GOOGLE_CLOUD_PROFILER_TOKEN_FILE": str(tmp_path / "none")}
    with pytest.raises(ValueError, match="none"):
        begin(environ, api_endpoint=endpoint, service="web")
