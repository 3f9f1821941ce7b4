"""Servers and event loops as `make test-servers` installs them, in the environment that
$CPROF_SERVERS is; they have the package of $CPROF_SITE."""

import pytest
from fixtures import launch as launch_here
from fixtures import service
from program import SITE
from rounds import Rounds
from server import SERVERS, Server, installed

__all__ = ["launch_here", "service"]


@pytest.fixture(autouse=True)
def _needed():
    if not (SERVERS and SITE):
        pytest.skip("make test-servers runs these")


@pytest.fixture
def rounds():
    with Rounds() as r:
        yield r


@pytest.fixture
def serve(tmp_path_factory):
    """serve(command, *args, rounds=None, **environ) starts a Server: an installed
    command. Profiles go to `rounds`; without, nothing is profiled. All its processes
    are killed when the test ends."""
    running = []

    def start(command, *args, rounds=None, **environ):
        if rounds:
            environ["GOOGLE_CLOUD_PROFILER_ENDPOINT"] = rounds.endpoint
        else:
            environ["GOOGLE_CLOUD_PROFILER_ENABLED"] = "0"
        folder = tmp_path_factory.mktemp("s")
        running.append(Server([installed(command), *args], folder, environ))
        return running[-1]

    yield start
    for server in running:
        server.kill()


@pytest.fixture
def launch(launch_here):
    """As the end-to-end tests' one, for a program in the servers' environment."""

    def start(*args, **settings):
        return launch_here(*args, python=installed("python"), **settings)

    return start
