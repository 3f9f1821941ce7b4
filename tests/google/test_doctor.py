"""`doctor`: what it says, of a machine with nothing and of one where all is well, and
that it tells no secrets."""

import json
import subprocess
import sys

import grpc
import pytest
from fake_service import assign, hang, refuse
from metadata_server import MetadataServer
from program import clean_environment

DOCTOR = [sys.executable, "-m", "googlecloudprofiler", "doctor"]
SECRET = "s3cr3t-marker"
CODE = grpc.StatusCode


@pytest.fixture
def doctor(tmp_path):
    """doctor(*arguments, **environ): {what: (status, words)}, and the exit status."""

    def run(*arguments, **environ):
        environ.setdefault("NO_GCE_CHECK", "true")
        done = subprocess.run(
            [*DOCTOR, "--json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=60,
            env=dict(clean_environment(tmp_path), **environ),
            cwd=str(tmp_path),
            check=False,
        )
        assert done.stderr == ""
        assert SECRET not in done.stdout
        found = json.loads(done.stdout)
        return {f["what"]: (f["status"], f["words"]) for f in found}, done.returncode

    return run


def test_on_a_machine_with_nothing_it_says_what_to_do(doctor):
    found, status = doctor()
    assert status == 1
    for what in ("python", "memory", "threads", "endpoint", "platform", "zone"):
        assert found[what][0] == "ok", found[what]
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in found["credentials"][1]
    assert "set GOOGLE_CLOUD_PROJECT" in found["project"][1]
    assert "Service name must be provided" in found["service"][1]
    assert found["permission"][0] == "warning"


def test_each_line_is_a_status_a_word_and_what_was_found(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "googlecloudprofiler", "doctor"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
        env=dict(clean_environment(tmp_path), NO_GCE_CHECK="true"),
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 13
    assert {line.split()[0] for line in lines} == {"ok", "warning", "error"}


@pytest.mark.parametrize("reply", [assign("CPU"), hang, refuse(CODE.ABORTED, "later")])
def test_a_service_that_lets_us_in_is_ok(doctor, service, reply):
    service.create_default = reply
    found, status = doctor("--endpoint", service.endpoint, "--service", "web")
    assert (found["permission"][0], status) == ("ok", 0), found
    assert service.updated == []
    assert service.created[0].request.deployment.target == "web"


@pytest.mark.parametrize(
    "code, words, advice",
    [
        (CODE.PERMISSION_DENIED, "The caller does not have permission", "grant the"),
        (CODE.PERMISSION_DENIED, "API has not been used in project 1", "enable the"),
        (CODE.UNAUTHENTICATED, "expired", "check the credentials"),
        (CODE.INVALID_ARGUMENT, "bad target", "check the service's name"),
        (CODE.NOT_FOUND, "no project", "check the project's id"),
    ],
)
def test_a_refusal_comes_with_the_services_words_and_ours(
    doctor, service, code, words, advice
):
    service.create_default = refuse(code, words)
    found, status = doctor("--endpoint", service.endpoint, "--service", "web")
    assert status == 1
    assert found["permission"][0] == "error"
    assert words in found["permission"][1]
    assert advice in found["permission"][1]


def test_a_service_that_is_not_there_is_an_error(doctor, service):
    service.stop()
    found, status = doctor("--endpoint", service.endpoint, "--service", "web")
    assert (found["permission"][0], status) == ("error", 1)
    assert "check the network" in found["permission"][1]


def test_of_credentials_it_shows_the_type_and_the_place_only(doctor, tmp_path):
    path = tmp_path / "adc.json"
    content = dict.fromkeys(("client_secret", "refresh_token"), SECRET)
    content.update(type="authorized_user", client_id="me", quota_project_id="payer")
    path.write_text(json.dumps(content))
    found, _ = doctor(
        "--project", "p-1", "--endpoint", "https://localhost:1", "--service", "web",
        GOOGLE_APPLICATION_CREDENTIALS=str(path),
        https_proxy="http://me:%s@127.0.0.1:2" % SECRET,
    )
    assert found["credentials"] == (
        "ok", "authorized_user in %s, paid by payer" % path
    )
    assert found["endpoint"][1] == "localhost:1 over TLS by the proxy 127.0.0.1:2"


def test_on_googles_platforms_it_asks_the_metadata_server(doctor):
    with MetadataServer() as metadata:
        found, _ = doctor(
            "--endpoint", "https://localhost:1",
            GCE_METADATA_HOST=metadata.host, NO_GCE_CHECK="", K_SERVICE="web",
        )
    assert found["platform"][1].startswith("Cloud Run, metadata server at 127.0.0.1:")
    assert found["credentials"][1].startswith("tokens of the metadata server, for ")
    assert found["project"][0] == found["zone"][0] == found["service"][0] == "ok"


def write_token(tmp_path, mode=0o600):
    path = tmp_path / "token"
    path.write_text(SECRET + "-0123456789")
    path.chmod(mode)
    return str(path)


def test_a_token_file_is_named_and_nothing_of_googles_is_needed(
    doctor, service, tmp_path
):
    service.create_default = assign("CPU")
    path = write_token(tmp_path)
    found, status = doctor(
        *("--endpoint", service.endpoint, "--service", "web"),
        GOOGLE_CLOUD_PROFILER_TOKEN_FILE=path,
    )
    assert found["credentials"] == ("ok", "the token in " + path)
    assert found["project"] == ("ok", "local")
    assert found["zone"] == ("ok", "not needed")
    assert (found["permission"][0], status) == ("ok", 0)
    metadata = service.created[0].metadata
    assert metadata["authorization"] == "Bearer %s-0123456789" % SECRET


def test_a_token_file_that_all_can_read_is_warned_of(doctor, tmp_path):
    path = write_token(tmp_path, 0o644)
    found, _ = doctor(
        *("--endpoint", "https://localhost:1", "--service", "web"),
        GOOGLE_CLOUD_PROFILER_TOKEN_FILE=path,
    )
    status, words = found["credentials"]
    assert status == "warning" and "every user of this host can read" in words


def test_a_token_file_that_cannot_be_used_is_an_error(doctor, tmp_path):
    found, status = doctor(
        *("--endpoint", "https://localhost:1", "--service", "web"),
        GOOGLE_CLOUD_PROFILER_TOKEN_FILE=str(tmp_path / "none"),
    )
    assert found["credentials"][0] == "error"
    assert "cannot read a token" in found["credentials"][1]
    assert status == 1


def test_a_token_file_is_not_for_google(doctor, tmp_path):
    found, _ = doctor(GOOGLE_CLOUD_PROFILER_TOKEN_FILE=write_token(tmp_path))
    status, words = found["endpoint"]
    assert status == "warning"
    assert "GOOGLE_CLOUD_PROFILER_TOKEN_FILE is ignored" in words
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in found["credentials"][1]
