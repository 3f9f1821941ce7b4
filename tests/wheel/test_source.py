"""The source distribution is built and used: with the distribution's gRPC, and where
there is none it has all that makes the bundled one."""

import os
import subprocess
import sys
import tarfile

import pytest
import wheels

pytestmark = wheels.needed


@pytest.fixture
def source():
    return wheels.one("google_cloud_profiler-*.tar.gz")


def tools():
    """The path of what the build needs of PyPI, which is beside this Python."""
    return os.path.dirname(sys.executable) + os.pathsep + "/usr/bin:/bin"


def test_it_builds_with_the_grpc_of_the_distribution(source, tmp_path):
    if subprocess.call(["pkg-config", "--exists", "grpc"]):
        pytest.skip("pkg-config finds no gRPC")
    site = str(tmp_path / "site")
    wheels.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation",
         "--target", site, source],
        timeout=600,
        env=dict(os.environ, PATH=tools()),
    )
    library = os.path.join(site, "googlecloudprofiler", "_transport.so")
    needed = wheels.run(["readelf", "-d", library])
    assert "libabsl" in needed or "libgrpc" in needed
    wheels.use(sys.executable, site, tmp_path, "--no-fork")


def test_it_has_what_the_bundled_build_is_made_of(source, tmp_path):
    """The build is asked what it would make, and finds each file of that."""
    with tarfile.open(source) as file:
        file.extractall(str(tmp_path), filter="data")
    (folder,) = os.listdir(str(tmp_path))
    wheels.run(
        [sys.executable, "-c", HASH_ALL],
        cwd=str(tmp_path / folder / "scripts"),
    )


HASH_ALL = """
import os
import bundle
for name in bundle.OF_LIBRARIES + bundle.OF_NATIVE + bundle.OF_RESULT:
    assert os.path.exists(os.path.join(bundle.ROOT, name)), name
for name in ("fetch-index", "fetch-crate", "fetch-debian"):
    assert os.access(os.path.join(bundle.ROOT, "third_party", name), os.X_OK), name
for name in ("build-transport", "check-transport"):
    assert os.access(os.path.join(bundle.ROOT, "scripts", name), os.X_OK), name
"""
