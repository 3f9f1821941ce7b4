"""What is tested: the files in the folder that $CPROF_WHEELS names; and what profiles
a program with them."""

import contextlib
import glob
import os
import subprocess
import sys
import zipfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.abspath(os.environ.get("CPROF_WHEELS") or "no-wheels")
# Emulated, all takes ten times as long.
PATIENCE_S = 170
TARGETS = [
    "%s_%s" % (libc, machine)
    for libc in ("manylinux2014", "musllinux_1_2")
    for machine in ("x86_64", "aarch64")
]

needed = pytest.mark.skipif(
    "CPROF_WHEELS" not in os.environ, reason="make test-wheels runs these"
)
each_target = pytest.mark.parametrize("target", TARGETS)


def one(pattern):
    """The path of the one file there that fits."""
    found = glob.glob(os.path.join(FOLDER, pattern))
    assert len(found) == 1, found
    return found[0]


def wheel(tags):
    return one("google_cloud_profiler-*%s*.whl" % tags)


def unpack(tags, folder):
    with zipfile.ZipFile(wheel(tags)) as file:
        file.extractall(str(folder))
    return str(folder)


def environment(site, **more):
    """Nothing of this checkout, and nothing that a machine may have set."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    return dict(
        env, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE="1", PATH="/usr/bin:/bin", **more
    )


def run(argv, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, **more):
    """Run a program to its good end; what it said, on both ways."""
    done = subprocess.run(
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=timeout,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def use(python, site, tmp_path, *flags):
    """Profile a program on `python`, and its child, against a service on the same."""
    said = run(
        [
            *(python, os.path.join(HERE, "use.py"), python, str(tmp_path / "store")),
            *flags,
        ],
        env=environment(site),
        cwd=str(tmp_path),
    )
    child = "" if flags else "child CPU child WALL "
    assert said == "stored: %sparent CPU parent WALL\n" % child


@contextlib.contextmanager
def service(tmp_path, address):
    """A service at `address`, which ends when it has profiles of both types; this is a
    pipe that ends then. That they show the function busy() is checked in the end."""
    site = unpack("abi3-manylinux2014_x86_64", tmp_path / "service")
    command = [sys.executable, "-m", "googlecloudprofiler"]
    store = str(tmp_path / "store")
    with subprocess.Popen(
        [
            *(*command, "serve", "--address", address, "--store", store),
            *("--interval", "0.1", "--duration", "1", "--until", "2", "--web", "off"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        env=environment(site),
    ) as process:
        try:
            process.stdout.readline()
            yield process.stdout
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.terminate()
    show = [*command, "show", "--store", store]
    assert "busy" in run([*show, "--type", "CPU"], env=environment(site))
    listed = run([*show, "--list"], env=environment(site))
    assert "CPU" in listed and "WALL" in listed
