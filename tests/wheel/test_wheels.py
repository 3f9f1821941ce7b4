"""Each wheel is used, not only built: a program is profiled against the local service,
on a Python of each kind that is here. Run by `make test-wheels`, on what $CPROF_WHEELS
has; nothing of this checkout is on the way, and neither network nor compiler."""

import glob
import os
import subprocess
import sys
import zipfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.environ.get("CPROF_WHEELS", "")
# What there is room for, of a file and of the whole, in bytes.
MAX_TRANSPORT, MAX_WHEEL = 12 << 20, 6 << 20

pytestmark = pytest.mark.skipif(not FOLDER, reason="make test-wheels runs these")


def wheel(pattern):
    found = glob.glob(os.path.join(FOLDER, "google_cloud_profiler-*%s*.whl" % pattern))
    assert len(found) == 1, found
    return found[0]


def unpack(pattern, folder):
    with zipfile.ZipFile(wheel(pattern)) as file:
        file.extractall(str(folder))
    return str(folder)


def environment(site):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return dict(env, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE="1", PATH="/usr/bin:/bin")


def use(python, site, tmp_path):
    done = subprocess.run(
        [python, os.path.join(HERE, "use.py"), python, str(tmp_path / "store")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=170,
        env=environment(site),
        cwd=str(tmp_path),
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "stored: CPU WALL\n"), done.stdout


def test_every_python_of_this_machine_is_profiled(python, tmp_path):
    pattern = "abi3-manylinux2014_x86_64"
    if python.kind == "free_threaded":
        pattern = "cp%d%dt-manylinux2014_x86_64" % python.version[:2]
        if not glob.glob(os.path.join(FOLDER, "*%s*.whl" % pattern)):
            pytest.skip("made by make wheels FREE_THREADED=%s" % python.path)
    elif python.kind:
        pytest.skip("not of this machine")
    use(python.path, unpack(pattern, tmp_path / "site"), tmp_path)


def test_an_emulated_aarch64_is_profiled(tmp_path):
    python = os.environ.get("CPROF_AARCH64_PYTHON")
    if not python:
        pytest.skip("CPROF_AARCH64_PYTHON names none")
    use(python, unpack("abi3-manylinux2014_aarch64", tmp_path / "site"), tmp_path)


def test_pip_installs_without_an_index(tmp_path):
    """As the documentation of Alpine does it; pip picks the one that fits."""
    site = str(tmp_path / "site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index",
         "--find-links", os.path.abspath(FOLDER), "--target", site,
         "google-cloud-profiler"],
        timeout=120,
        check=True,
    )
    assert os.path.exists(os.path.join(site, "googlecloudprofiler", "_transport.so"))


def test_the_pure_wheel_says_why_it_cannot(tmp_path):
    site = unpack("py3-none-any", tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", "import googlecloudprofiler as g; g.start(service='w')"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
        env=environment(site),
        check=False,
    )
    assert done.returncode == 1
    assert "NotImplementedError: this package of the profiler has no" in done.stderr
    assert "pip install of the source distribution" in done.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("libc", ["manylinux2014", "musllinux_1_2"])
def test_sizes(libc, machine):
    path = wheel("abi3-%s_%s" % (libc, machine))
    with zipfile.ZipFile(path) as file:
        sizes = {i.filename: i.file_size for i in file.infolist()}
    print(os.path.getsize(path), sizes["googlecloudprofiler/_transport.so"], path)
    assert sizes["googlecloudprofiler/_transport.so"] <= MAX_TRANSPORT
    assert os.path.getsize(path) <= MAX_WHEEL


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_auditwheel_agrees_about_glibc(machine):
    done = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show",
         wheel("abi3-manylinux2014_%s" % machine)],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
        check=True,
    )
    words = " ".join(done.stdout.split())
    assert 'following platform tag: "manylinux_2_17_%s"' % machine in words


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("libc", ["manylinux2014", "musllinux_1_2"])
def test_abi3audit_agrees(libc, machine):
    subprocess.run(
        [sys.executable, "-m", "abi3audit", "--strict",
         wheel("abi3-%s_%s" % (libc, machine))],
        timeout=120,
        check=True,
    )
