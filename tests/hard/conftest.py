import pathlib
import subprocess

import pytest
from fixtures import launch, service

__all__ = ["launch", "service"]
HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory):
    """The path of preload.c, made to be preloaded."""
    path = str(tmp_path_factory.mktemp("preload") / "preload.so")
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", path]
    subprocess.run([*command, str(HERE / "preload.c"), "-ldl"], check=True)
    return path
