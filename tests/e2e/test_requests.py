"""What the agent says to the service, as another gRPC and another protobuf hear it."""

import platform
import re

import pytest
from fake_service import PATIENCE_S, FakeService, api, assign

PROGRAM = """
import sys
import googlecloudprofiler

googlecloudprofiler.start(
    "web", "1.2", "p-1", zone="europe-west1-b", instance="vm-7", **eval(sys.argv[1])
)
sys.stdin.readline()
"""

# Field 100, bytes: nothing that our .proto files know.
UNKNOWN = b"\xa2\x06\x05later"


def test_create_profile_names_the_deployment_and_offers_both_types(service, launch):
    launch(PROGRAM, "{}", service=service)
    call = service.wait_created(1)[0]
    assert call.request == api.CreateProfileRequest(
        parent="projects/p-1",
        deployment=api.Deployment(
            project_id="p-1",
            target="web",
            labels={"language": "python", "version": "1.2", "zone": "europe-west1-b"},
        ),
        profile_type=["CPU", "WALL"],
    )


@pytest.mark.parametrize("disabled, offered", [("cpu", ["WALL"]), ("wall", ["CPU"])])
def test_a_disabled_type_is_not_offered(service, launch, disabled, offered):
    launch(PROGRAM, "{'disable_%s_profiling': True}" % disabled, service=service)
    names = [
        api.ProfileType.Name(t) for t in service.wait_created(1)[0].request.profile_type
    ]
    assert names == offered


def test_labels_that_are_not_known_are_not_sent(service, launch):
    text = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
"""
    launch(text, service=service)
    request = service.wait_created(1)[0].request
    assert dict(request.deployment.labels) == {"language": "python"}
    assert request.deployment.project_id == "local"
    assert request.parent == "projects/local"


def test_metadata_names_agent_python_and_core(service, launch):
    launch(PROGRAM, "{}", service=service)
    metadata = service.wait_created(1)[0].metadata
    assert metadata["user-agent"].startswith("gcloud-python-profiler/5.0.0 ")
    python = re.escape(platform.python_version())
    assert re.match(
        r"gl-python/%s gccl/5\.0\.0 grpc/[\d.]+\Z" % python,
        metadata["x-goog-api-client"],
    )


def test_no_credentials_travel_in_plaintext(service, launch):
    launch(PROGRAM, "{}", service=service)
    assert "authorization" not in service.wait_created(1)[0].metadata


def test_deadlines_are_an_hour_to_wait_and_half_a_minute_to_upload(service, launch):
    service.on_create.append(assign(seconds=0.1))
    launch(PROGRAM, "{}", service=service)
    update = service.wait_updated(1)[0]
    create = service.wait_created(2)
    # Core rounds an hour up to tens of seconds, and half a minute to tenths.
    for call in create:
        assert 3500 < call.remaining_s <= 3620
    assert 20 < update.remaining_s <= 30.1


def test_the_next_profile_is_asked_for_at_once(service, launch):
    service.on_create.extend([assign(seconds=0.1)] * 3)
    launch(PROGRAM, "{}", service=service)
    service.wait_created(4, timeout_s=PATIENCE_S)
    assert len(service.updated) == 3


def test_the_profile_comes_back_as_given_with_bytes_and_instance(service, launch):
    given = api.Profile(
        name="projects/p-1/profiles/abc",
        profile_type="WALL",
        duration=api.Duration(nanos=150000000),
        deployment=api.Deployment(
            project_id="p-1", target="web", labels={"language": "python", "by": "us"}
        ),
        labels={"ticket": "17"},
    )
    data = given.SerializeToString() + UNKNOWN
    service.on_create.append(lambda call: data)
    program = launch(PROGRAM, "{}", service=service)
    back = service.wait_updated(1)[0].request.profile
    assert back.profile_bytes.startswith(b"\x1f\x8b")
    labels = {"ticket": "17", "instance": "vm-7", "process": str(program.pid)}
    assert dict(back.labels) == labels
    back.ClearField("profile_bytes")
    del back.labels["instance"], back.labels["process"]
    want = api.Profile.FromString(data)
    assert back.SerializeToString(deterministic=True) == want.SerializeToString(
        deterministic=True
    )
    assert UNKNOWN in back.SerializeToString()


def test_an_instance_label_of_the_service_is_ours_after_upload(service, launch):
    service.on_create.append(assign(seconds=0.1, labels={"instance": "other"}))
    launch(PROGRAM, "{}", service=service)
    labels = service.wait_updated(1)[0].request.profile.labels
    assert labels["instance"] == "vm-7"


def test_unix_socket_is_an_endpoint(launch, tmp_path):
    path = "unix:%s" % (tmp_path / "s")
    with FakeService(unix=path) as service:
        launch(PROGRAM, "{}", GOOGLE_CLOUD_PROFILER_ENDPOINT=path)
        assert service.wait_created(1)[0].peer.startswith("unix:")
