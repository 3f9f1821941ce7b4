"""Fixtures of the end-to-end tests and the fault tests."""

import json
import subprocess

import pytest
from fake_service import FakeService
from program import PYTHON, Program


@pytest.fixture
def service():
    with FakeService() as s:
        yield s


@pytest.fixture
def launch(tmp_path_factory, request):
    """launch(text, *args, service=None, **environ) starts a Program; with a service
    its agent will find that one. It is killed when the test ends."""
    running = []

    def start(text, *args, service=None, python=PYTHON, **environ):
        if service is not None:
            environ.setdefault("GOOGLE_CLOUD_PROFILER_ENDPOINT", service.endpoint)
        folder = tmp_path_factory.mktemp("program")
        program = Program(folder, text, args, environ, python)
        running.append(program)
        return program

    yield start
    for program in running:
        program.kill()


@pytest.fixture(scope="session")
def key_file(tmp_path_factory):
    """The path of a service account's key file, with a key made just now."""
    return make_key_file(tmp_path_factory.mktemp("key"))


def openssl(folder, *arguments):
    """What the openssl command says on standard output, run in a folder."""
    done = subprocess.run(
        ["openssl", *arguments],
        cwd=str(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_key(folder):
    """A new private key, as PEM."""
    return openssl(
        folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"
    )


def make_key_file(folder, token_uri="https://oauth2.googleapis.com/token"):
    """Make a service account's key file in a folder; its path."""
    path = folder / "key.json"
    content = {
        "type": "service_account",
        "project_id": "key-project",
        "private_key_id": "1",
        "private_key": make_key(folder),
        "client_email": "agent@key-project.test",
        "client_id": "2",
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(content))
    return str(path)
