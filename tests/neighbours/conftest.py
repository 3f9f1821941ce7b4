"""Programs with the agent and with others, whose package is the one of $CPROF_WHEELS,
with its own gRPC core inside, or of $CPROF_SITE, or the one that is installed here."""

import os
import subprocess
import sys

import pytest
from fixtures import key_file, service
from fixtures import launch as launch_installed
from program import SITE
from secure import Authority, SecureService

__all__ = ["key_file", "launch_installed", "service"]

HERE = os.path.dirname(os.path.abspath(__file__))
WHEELS = os.environ.get("CPROF_WHEELS", "")


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    """Where programs look for the package, and for the modules of this folder."""
    if not WHEELS:
        return os.pathsep.join(filter(None, [SITE, HERE]))
    site = str(tmp_path_factory.mktemp("site"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--find-links", os.path.abspath(WHEELS), "--target", site,
         "google-cloud-profiler"],
        timeout=120,
        check=True,
    )
    return site + os.pathsep + HERE


@pytest.fixture
def launch(launch_installed, path):
    """As the end-to-end tests' one, for a program with `path`."""

    def start(text, *args, service=None, **environ):
        environ["PYTHONPATH"] = path
        return launch_installed(text, *args, service=service, **environ)

    return start


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority):
    """The service, with TLS, at https://localhost:port."""
    with SecureService(authority) as s:
        yield s


@pytest.fixture(scope="session")
def settings(authority, key_file):
    """The environment of an agent that talks to `secure`."""
    return {
        "SSL_CERT_FILE": authority.ca,
        "GOOGLE_APPLICATION_CREDENTIALS": key_file,
        "NO_GCE_CHECK": "true",
    }
