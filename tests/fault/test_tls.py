"""TLS: who is trusted, and that the token goes to nobody else."""

import subprocess

import grpc
import pytest
from fake_service import FakeService, assign

PROGRAM = """
import logging
import sys
import googlecloudprofiler

class Handler(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.getMessage(), flush=True)

logging.getLogger().addHandler(Handler())
googlecloudprofiler.start(service="web", verbose=3)
sys.stdin.readline()
"""


def openssl(directory, *arguments):
    subprocess.run(
        ["openssl", *arguments],
        cwd=str(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=True,
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A directory with ca.pem, and key.pem and cert.pem of `localhost`."""
    directory = tmp_path_factory.mktemp("certificates")
    (directory / "localhost.ext").write_text("subjectAltName=DNS:localhost\n")
    (directory / "other.ext").write_text("subjectAltName=DNS:other.test\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    openssl(
        directory,
        *("req", "-x509", *new, "-keyout", "ca-key.pem", "-out", "ca.pem"),
        *("-days", "2", "-subj", "/CN=Test CA"),
    )
    for name in ("localhost", "other"):
        openssl(
            directory,
            *("req", *new, "-keyout", name + "-key.pem", "-out", name + ".csr"),
            *("-subj", "/CN=" + name),
        )
        openssl(
            directory,
            *("x509", "-req", "-in", name + ".csr", "-days", "2"),
            *("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"),
            *("-extfile", name + ".ext", "-out", name + ".pem"),
        )
    return directory


def serve(certificates, name):
    key = (certificates / (name + "-key.pem")).read_bytes()
    chain = (certificates / (name + ".pem")).read_bytes()
    return FakeService(credentials=grpc.ssl_server_credentials([(key, chain)]))


def environment(service, certificates, key_file):
    return {
        "GOOGLE_CLOUD_PROFILER_ENDPOINT": "localhost:%d" % service.port,
        "GOOGLE_APPLICATION_CREDENTIALS": key_file,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificates / "ca.pem"),
    }


def test_profiles_go_over_tls_with_a_token(launch, certificates, key_file):
    with serve(certificates, "localhost") as service:
        service.on_create.append(assign("CPU", 0.1))
        program = launch(PROGRAM, **environment(service, certificates, key_file))
        update = service.wait_updated(1)[0]
        create = service.created[0]
        for call in (create, update):
            assert call.metadata["authorization"].startswith("Bearer ey")
        # The project is the key file's.
        assert create.request.parent == "projects/key-project"
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""
        assert not any("ey" in line and "Bearer" in line for line in program.rest())


@pytest.mark.parametrize("fault", ["unknown CA", "other name"])
def test_who_cannot_be_trusted_gets_nothing(launch, certificates, key_file, fault):
    name = "other" if fault == "other name" else "localhost"
    with serve(certificates, name) as service:
        environ = environment(service, certificates, key_file)
        if fault == "unknown CA":
            other = "/etc/ssl/certs/ca-certificates.crt"
            environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = other
        program = launch(PROGRAM, **environ)
        line = program.line()
        while "Failed to create profile" not in line:
            line = program.line()
        assert "UNAVAILABLE" in line
        assert service.created == []
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""


def test_a_key_that_is_none_is_told_of_without_the_key(launch, certificates, tmp_path):
    path = tmp_path / "key.json"
    pem = "-----BEGIN PRIVATE KEY-----\\nhush\\n-----END PRIVATE KEY-----"
    path.write_text(
        '{"type": "service_account", "project_id": "p-1", "private_key": "%s",'
        ' "client_email": "a@b", "client_id": "1", "private_key_id": "2"}' % pem
    )
    with serve(certificates, "localhost") as service:
        program = launch(PROGRAM, **environment(service, certificates, str(path)))
        line = program.line()
        while "WARNING" not in line:
            line = program.line()
        assert "Failed to create profile" in line and "UNAUTHENTICATED" in line
        assert "hush" not in line
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""
        assert service.created == []
