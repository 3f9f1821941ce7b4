"""What each of Google's platforms shows, and what arrives at the service for it.

Programs run with the environment, the firmware's product name and the metadata server
of the platform, as far as the agent looks at them, and with nothing else.
"""

import time

import grpc
import pytest
from fake_service import assign, refuse
from metadata_server import ACCOUNT

TOKEN = ACCOUNT + "token"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED

KUBERNETES = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}
STANDARD = {
    "GAE_ENV": "standard",
    "GAE_APPLICATION": "e~env-project",
    "GAE_SERVICE": "shop",
    "GAE_VERSION": "v7",
    "GAE_INSTANCE": "0a1b",
    "GAE_RUNTIME": "python312",
    "GOOGLE_CLOUD_PROJECT": "env-project",
}
FLEXIBLE = {
    "GAE_SERVICE": "shop",
    "GAE_VERSION": "v7",
    "GAE_INSTANCE": "aef-shop-v7-0a1b",
    "GCLOUD_PROJECT": "env-project",
}
RUN = {"K_SERVICE": "shop", "K_REVISION": "shop-00042-abc", "K_CONFIGURATION": "shop"}
FUNCTION = dict(RUN, FUNCTION_TARGET="handle", FUNCTION_SIGNATURE_TYPE="http")
JOB = {
    "CLOUD_RUN_JOB": "nightly",
    "CLOUD_RUN_EXECUTION": "nightly-xyz",
    "CLOUD_RUN_TASK_INDEX": "0",
}

# Environment, firmware, instance/name, arguments of start(); then project, service,
# version and instance as they arrive.
PLATFORMS = {
    "Compute Engine": (
        *({}, "Google Compute Engine", "vm-1", {"service": "web"}),
        *("test-project", "web", None, "vm-1"),
    ),
    "GKE": (
        *(KUBERNETES, "Google", "gke-node-1", {"service": "web"}),
        *("test-project", "web", None, "gke-node-1"),
    ),
    "GKE in a sandbox": (
        *(KUBERNETES, None, "gke-node-1", {"service": "web"}),
        *("test-project", "web", None, "gke-node-1"),
    ),
    "App Engine standard": (
        *(STANDARD, None, None, {"service": None}),
        *("env-project", "shop", "v7", None),
    ),
    "App Engine flexible": (
        *(FLEXIBLE, "Google Compute Engine", "aef-1", {"service": None}),
        *("env-project", "shop", "v7", "aef-1"),
    ),
    "Cloud Run": (
        *(RUN, None, None, {"service": None}),
        *("test-project", "shop", "shop-00042-abc", None),
    ),
    "Cloud Run functions": (
        *(FUNCTION, None, None, {"service": None}),
        *("test-project", "shop", "shop-00042-abc", None),
    ),
    "Cloud Run job": (
        *(JOB, None, None, {"service": "nightly", "service_version": "3"}),
        *("test-project", "nightly", "3", None),
    ),
    "Cloud Run worker pool": (
        *({"CLOUD_RUN_WORKER_POOL": "pool"}, None, None, {"service": "pool"}),
        *("test-project", "pool", None, None),
    ),
}


@pytest.fixture
def at(watch, metadata, tmp_path):
    """at(environment, firmware=None, **start) runs a program on such a machine."""

    def run(environment, firmware=None, **start):
        patch = {"_platform.METADATA_HOST": metadata.host}
        if firmware:
            (tmp_path / "product_name").write_text(firmware + "\n")
            patch["_platform.DMI_PATH"] = str(tmp_path / "product_name")
        return watch(start, patch, **environment)

    return run


@pytest.mark.parametrize("name", PLATFORMS)
def test_each_platform_is_told_as_it_is(at, secure, metadata, name):
    environment, firmware, node, start, *wanted = PLATFORMS[name]
    project, service, version, instance = wanted
    metadata.instance = node
    secure.on_create.append(assign("CPU", 0.1))
    program = at(environment, firmware, **start)
    assert program.raised is None
    (update,) = secure.wait_updated(1)
    create = secure.created[0]
    assert create.request.parent == "projects/" + project
    deployment = create.request.deployment
    assert (deployment.project_id, deployment.target) == (project, service)
    labels = {"language": "python", "zone": "us-central1-a", "version": version}
    assert dict(deployment.labels) == {k: v for k, v in labels.items() if v}
    assert update.request.profile.labels.get("instance") == instance
    for call in (create, update):
        assert call.metadata["authorization"] == "Bearer " + metadata.tokens[0]
        assert "x-goog-user-project" not in call.metadata
    assert metadata.calls[TOKEN] == 1
    assert metadata.refused == 0
    assert program.end() == []
    assert metadata.tokens[0] not in program.text()


def test_what_the_program_says_goes_before_what_the_platform_knows(
    at, secure, metadata
):
    secure.on_create.append(assign("CPU", 0.1))
    start = {
        "service": "mine",
        "service_version": "9",
        "project_id": "my-project",
        "zone": "my-zone",
        "instance": "my-instance",
    }
    program = at(STANDARD, **start)
    (update,) = secure.wait_updated(1)
    deployment = secure.created[0].request.deployment
    assert (deployment.project_id, deployment.target) == ("my-project", "mine")
    labels = {"language": "python", "version": "9", "zone": "my-zone"}
    assert dict(deployment.labels) == labels
    assert update.request.profile.labels["instance"] == "my-instance"
    assert set(metadata.calls) == {TOKEN}
    assert program.end() == []


def test_gce_metadata_host_names_another_server(watch, secure, metadata):
    program = watch(GCE_METADATA_HOST=metadata.host)
    (create,) = secure.wait_created(1)
    assert create.request.parent == "projects/test-project"
    assert create.metadata["authorization"] == "Bearer " + metadata.tokens[0]
    assert program.end() == []


def test_outside_of_google_start_says_what_is_missing(watch):
    program = watch({"project_id": "p-1"})
    kind, words = program.raised
    assert kind == "CredentialsError"
    assert "GOOGLE_APPLICATION_CREDENTIALS" in words
    print("start() without anything of Google's: %.1f ms" % (program.started_s * 1e3))
    assert program.started_s < 1.5
    assert program.end() == []


def test_a_cluster_elsewhere_is_found_out_within_a_second(watch, metadata):
    metadata.hang = True
    patch = {"_platform.METADATA_HOST": metadata.host}
    program = watch(patch=patch, **KUBERNETES)
    assert program.raised[0] == "CredentialsError"
    assert 0.9 < program.started_s < 3
    assert program.end() == []


def test_another_clouds_metadata_server_is_not_taken_for_googles(watch, metadata):
    """At the same address: it knows no project, and does not say what it is."""
    metadata.status, metadata.flavor = 404, None
    patch = {"_platform.METADATA_HOST": metadata.host}
    program = watch(patch=patch, **KUBERNETES)
    assert program.raised[0] == "CredentialsError"
    assert program.end() == []


def test_a_key_and_a_project_leave_nothing_to_look_for(
    watch, secure, metadata, key_file
):
    """In a sandbox the zone may still be there: it is asked for, but not by start()."""
    metadata.delay_s = 0.2
    patch = {"_platform.METADATA_HOST": metadata.host}
    program = watch(
        patch=patch, GOOGLE_APPLICATION_CREDENTIALS=key_file, **KUBERNETES
    )
    (create,) = secure.wait_created(1)
    assert create.request.parent == "projects/key-project"
    assert create.request.deployment.labels["zone"] == "us-central1-a"
    assert set(metadata.calls) == {"instance/zone", "instance/name"}
    assert program.end() == []


def test_start_does_not_wait_for_a_metadata_server(watch, secure):
    """There is none where the platform says that there is one."""
    patch = {"_platform.METADATA_HOST": "127.0.0.1:1"}
    program = watch({"service": None}, patch, **RUN)
    print("start() without a metadata server: %.1f ms" % (program.started_s * 1e3))
    assert program.raised is None
    assert program.started_s < 1.5
    program.hear("Failed to create profile", "WARNING")
    program.hear("Failed to create profile", count=3)
    (warning,) = program.end()
    assert "cannot connect to the metadata server 127.0.0.1:1" in warning
    assert secure.created == []


def test_a_token_is_renewed_before_it_is_too_old(at, secure, metadata):
    metadata.token_life_s = 3
    arrived = []

    def note(call):
        arrived.append((call.metadata["authorization"], time.monotonic()))
        return assign("CPU", 0.1)(call)

    secure.create_default = note
    program = at(RUN, service=None)
    while len({token for token, _ in arrived}) < 3:
        secure.wait_created(len(arrived) + 1)
    assert program.end() == []
    first = {}
    for token, at_s in arrived:
        first.setdefault(token, at_s)
        assert at_s - first[token] < metadata.token_life_s
    # One for each half of a life, not for each call.
    assert len(metadata.tokens) < len(arrived)


def test_a_token_that_is_refused_is_replaced(at, secure, metadata):
    secure.on_create.extend([refuse(UNAUTHENTICATED, "old"), assign("CPU", 0.1)])
    program = at(RUN, service=None)
    (update,) = secure.wait_updated(1)
    seen = [call.metadata["authorization"] for call in secure.created[:2]]
    assert seen == ["Bearer " + token for token in metadata.tokens]
    assert update.metadata["authorization"] == seen[1]
    assert program.end() == []
    assert not any(token in program.text() for token in metadata.tokens)


PROJECT = "project/project-id"

# What is wrong with the metadata server, and the words of the one warning; None where
# it is not worth one.
FAULTS = {
    "redirects": ({"redirect": "http://127.0.0.1:1/"}, "HTTP status 302"),
    "sends megabytes": ({"flood": 3 << 20}, "longer answer than allowed"),
    "sends lines": ({"values": {PROJECT: "one\ntwo"}}, "no plain text"),
    "sends a header": ({"values": {PROJECT: "p\r\nX-Evil: 1"}}, "no plain text"),
    "sends bytes": ({"values": {PROJECT: b"\xff\xfe\x00"}}, "no plain text"),
    "sends nothing": ({"values": {PROJECT: " \n"}}, "has nothing"),
    "is not Google's": ({"flavor": None}, "is not Google's metadata server"),
    "is another's": ({"flavor": "Other"}, "is not Google's metadata server"),
    "refuses": ({"status": 403}, "HTTP status 403"),
    "has no project": ({"missing": {PROJECT}}, "has no 'project/project-id'"),
    "has no account": ({"email": None}, "has no 'instance/service-accounts"),
    "has a broken token": ({"values": {TOKEN: "{hush"}}, "not come as a JSON object"),
    "has an odd token": (
        {"values": {TOKEN: '{"access_token": "hush hush", "expires_in": 9,'
                           ' "token_type": "Bearer"}'}},
        "not one word",
    ),
    "is busy": ({"busy": 2}, None),
    "has no instance": ({"instance": None}, None),
    "has no zone": ({"missing": {"instance/zone"}}, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_metadata_server_are_told_once(at, secure, metadata, name):
    fault, words = FAULTS[name]
    good = {key: getattr(metadata, key) for key in fault}
    for key, value in fault.items():
        setattr(metadata, key, value)
    secure.on_create.append(assign("CPU", 0.1))
    program = at(RUN, service=None)
    assert program.started_s < 1.5
    if words:
        assert words in program.hear("Failed to create profile", "WARNING")
        program.hear("Failed to create profile", "DEBUG", count=2)
        assert secure.created == []
        for key, value in good.items():
            setattr(metadata, key, value)
    secure.wait_updated(1)
    assert len(program.end()) == bool(words)
    assert "hush" not in program.text()


def test_labels_that_come_late_are_not_lost(at, secure, metadata):
    """On a machine that boots: the project is known otherwise, so the first that is
    missed for good is the token."""
    metadata.busy = 3
    program = at(STANDARD, service=None)
    (create,) = secure.wait_created(1)
    assert create.request.deployment.labels["zone"] == "us-central1-a"
    assert metadata.calls["instance/zone"] == 2
    assert program.end() == []


def test_a_metadata_server_that_hangs_holds_up_neither_start_nor_stop(
    at, secure, metadata
):
    metadata.hang = True
    program = at(RUN, service=None)
    print("start() with one that hangs: %.1f ms" % (program.started_s * 1e3))
    assert program.started_s < 1.5
    assert program.end() == []


def test_profiling_begins_when_a_metadata_server_wakes_up(at, secure, metadata):
    metadata.hang = True
    secure.on_create.append(assign("CPU", 0.1))
    program = at(RUN, service=None)
    assert "within 5.0 s" in program.hear("Failed to create profile")
    metadata.hang = False
    secure.wait_updated(1)
    assert program.end() == []


def test_a_metadata_server_with_an_impossible_name_is_refused(watch):
    program = watch(GCE_METADATA_HOST="metadata.test:80")
    assert program.raised[0] == "ValueError"
    assert "names are not looked up" in program.raised[1]
    assert program.end() == []
