"""Which platform it is, by the environment and one file of the kernel's."""

import pytest
from googlecloudprofiler import _platform

GOOGLES = _platform.METADATA_HOST
CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def find(tmp_path):
    """find(environ, firmware=None) is the Platform; `firmware` are the bytes of the
    product's name, or None where there is no such file."""

    def run(environ, firmware=None):
        path = tmp_path / "product_name"
        if firmware is not None:
            path.write_bytes(firmware)
        return _platform.find(environ, str(path))

    return run


@pytest.mark.parametrize(
    "environ, firmware, name",
    [
        ({}, b"Google Compute Engine\n", "Compute Engine"),
        ({}, b"Google", "Compute Engine"),
        (CLUSTER, b"Google\n", "GKE"),
        ({"GAE_ENV": "standard", "GAE_SERVICE": "x"}, None, "App Engine standard"),
        ({"GAE_SERVICE": "x"}, b"Google", "App Engine flexible"),
        ({"K_SERVICE": "x"}, None, "Cloud Run"),
        ({"K_SERVICE": "x", "FUNCTION_TARGET": "f"}, None, "Cloud Run functions"),
        ({"CLOUD_RUN_JOB": "x"}, None, "a Cloud Run job"),
        ({"CLOUD_RUN_WORKER_POOL": "x"}, None, "a Cloud Run worker pool"),
    ],
)
def test_what_shows_is_sure_and_has_a_metadata_server(find, environ, firmware, name):
    assert find(environ, firmware) == (name, GOOGLES, True)


@pytest.mark.parametrize(
    "firmware", [None, b"", b"KVM\n", b"Not Google\n", b"\xff\xfe", b"google"]
)
def test_elsewhere_there_is_no_metadata_server(find, firmware):
    assert find({}, firmware) == ("not Google's", None, True)
    assert find({"K_SERVICE": "", "GAE_ENV": ""}, firmware).metadata_host is None


def test_a_folder_in_place_of_the_file_is_not_googles(tmp_path):
    assert _platform.find({}, str(tmp_path)) == ("not Google's", None, True)


@pytest.mark.parametrize("firmware", [None, b"KVM"])
def test_a_cluster_that_does_not_show_its_machine_is_unsure(find, firmware):
    assert find(CLUSTER, firmware) == ("Kubernetes", GOOGLES, False)


@pytest.mark.parametrize("variable", ["GCE_METADATA_HOST", "GCE_METADATA_IP"])
def test_a_metadata_server_can_be_named(find, variable):
    found = find({variable: "127.0.0.1:8080"})
    assert found == ("told by GCE_METADATA_HOST", "127.0.0.1:8080", True)
    found = find(dict(CLUSTER, **{variable: "127.0.0.1:8080"}))
    assert found == ("Kubernetes", "127.0.0.1:8080", True)
    assert find({variable: ""}) == ("not Google's", None, True)


def test_the_host_goes_before_the_address(find):
    environ = {"GCE_METADATA_HOST": "127.0.0.1:1", "GCE_METADATA_IP": "127.0.0.2"}
    assert find(environ).metadata_host == "127.0.0.1:1"


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
def test_no_gce_check_means_that_there_is_none(find, value):
    environ = dict(CLUSTER, NO_GCE_CHECK=value, GCE_METADATA_HOST="127.0.0.1")
    assert find({"NO_GCE_CHECK": value}) == ("not Google's", None, True)
    assert find(environ, b"Google") == ("GKE", None, True)


@pytest.mark.parametrize("value", ["", "0", "false", "1", "yes"])
def test_no_gce_check_counts_only_as_true(find, value):
    """As google.auth has it."""
    found = find({"NO_GCE_CHECK": value}, b"Google")
    assert found == ("Compute Engine", GOOGLES, True)
