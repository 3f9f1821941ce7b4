"""Each wheel is used, not only built: a program is profiled against the local service,
on a Python of each kind that is here. Run by `make test-wheels`, on what $CPROF_WHEELS
has; nothing of this checkout is on the way, and neither network nor compiler."""

import glob
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest
import wheels
from wheels import unpack, use, wheel

# What there is room for, of a file and of the whole, in bytes.
MAX_TRANSPORT, MAX_WHEEL = 12 << 20, 6 << 20

pytestmark = wheels.needed


def test_every_python_of_this_machine_is_profiled(python, tmp_path):
    pattern = "abi3-manylinux2014_x86_64"
    if python.kind == "free_threaded":
        pattern = "cp%d%dt-manylinux2014_x86_64" % python.version[:2]
        if not glob.glob(os.path.join(wheels.FOLDER, "*%s*.whl" % pattern)):
            pytest.skip("made by make wheels FREE_THREADED=%s" % python.path)
    elif python.kind:
        pytest.skip("not of this machine")
    use(python.path, unpack(pattern, tmp_path / "site"), tmp_path)


def test_an_emulated_aarch64_is_profiled(tmp_path):
    python = os.environ.get("CPROF_AARCH64_PYTHON")
    if not python:
        pytest.skip("CPROF_AARCH64_PYTHON names none")
    site = unpack("abi3-manylinux2014_aarch64", tmp_path / "site")
    use(python, site, tmp_path, "--emulated")


def test_pip_installs_without_an_index(tmp_path):
    """And picks the one that fits."""
    site = str(tmp_path / "site")
    wheels.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index",
         "--find-links", wheels.FOLDER, "--target", site, "google-cloud-profiler"],
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
        env=wheels.environment(site),
        check=False,
    )
    assert done.returncode == 1
    assert "NotImplementedError: this package of the profiler has no" in done.stderr
    assert "pip install of the source distribution" in done.stderr


@wheels.each_target
def test_sizes(target):
    path = wheel("abi3-" + target)
    with zipfile.ZipFile(path) as file:
        sizes = {i.filename: i.file_size for i in file.infolist()}
    print(os.path.getsize(path), sizes["googlecloudprofiler/_transport.so"], path)
    assert sizes["googlecloudprofiler/_transport.so"] <= MAX_TRANSPORT
    assert os.path.getsize(path) <= MAX_WHEEL


@wheels.each_target
def test_auditwheel_agrees(target):
    """It knows musl's libc by the name that Alpine's compiler asks for. Ours asks for
    libc.so, which musl takes for itself as well. What symbols of musl are wanted is
    judged by scripts/check-transport only."""
    argv = [sys.executable, "-m", "auditwheel", "show", "--json", "--ldpaths", ""]
    text = subprocess.check_output([*argv, wheel("abi3-" + target)], timeout=120)
    said = json.loads(text.decode("utf-8"))
    tag = target.replace("manylinux2014", "manylinux_2_17")
    assert said["sym_tag"] == tag
    if "musl" in tag:
        assert said["external_libs"] == {"libc.so": None}
        assert said["policy_upgrades"] == {tag: {"libs_to_eliminate": ["libc.so"]}}
    else:
        assert said["overall_tag"] == tag


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_module_wants_nothing_that_an_old_glibc_has_not(machine, tmp_path):
    """Such a symbol has no version, as the interpreter's have none."""
    site = wheels.unpack("abi3-manylinux2014_" + machine, tmp_path)
    path = os.path.join(site, "googlecloudprofiler", "_native.abi3.so")
    said = subprocess.check_output(["readelf", "--wide", "--dyn-syms", path])
    wanted = re.findall(r" GLOBAL +DEFAULT +UND (\S+)", said.decode("ascii"))
    assert any("@GLIBC_" in name for name in wanted)
    plain = {name for name in wanted if "@" not in name}
    assert {name for name in plain if not name.startswith(("Py", "_Py"))} == set()


@wheels.each_target
def test_abi3audit_agrees(target):
    wheels.run(
        [sys.executable, "-m", "abi3audit", "--strict", wheel("abi3-" + target)]
    )
