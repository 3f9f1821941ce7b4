"""Machines with nothing but a C library and a Python: no network, no compiler, no CA
certificates. One of Alpine's kind, as the documentation says it, and one of glibc."""

import glob
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import bare
import wheels

pytestmark = wheels.needed


def stage(musl, path):
    """What is in an image of Alpine with Python, for us."""
    for name in ("bin", "lib", "etc", "usr"):
        shutil.copytree(
            os.path.join(musl, name), os.path.join(path, name), symlinks=True
        )


def test_the_two_stages_for_alpine_work_as_they_are_documented(musl, tmp_path):
    page = os.path.join(wheels.HERE, "..", "..", "docs", "install.md")
    with open(page, encoding="utf-8") as file:
        first, second = re.findall(r"^ *RUN (pip3 .*)$", file.read(), re.M)

    with bare.root(lambda path: stage(musl, path)) as root:
        root.copy(wheels.FOLDER, "/index")
        root.run(*first.split(), PIP_NO_INDEX="1", PIP_FIND_LINKS="/index")
        shutil.copytree(root.path + "/tmp/wheels", str(tmp_path / "wheels"))

    with bare.root(lambda path: stage(musl, path)) as root:
        root.copy(str(tmp_path / "wheels"), "/tmp/wheels")
        root.run(*second.split())
        root.run("pip3", "check")
        root.profile(tmp_path, "python3")


# What the C library consists of before glibc 2.34, and wheels for 2.17 ask for.
LIBC = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"]


def python_alone(path):
    """This Python with its standard library, and the libraries that these want."""
    python = os.path.realpath(sys.executable)
    stdlib = sysconfig.get_path("stdlib")
    modules = glob.glob(os.path.join(stdlib, "lib-dynload", "*.so"))
    said = subprocess.check_output(["ldd", python, *modules], universal_newlines=True)
    files = {python, *re.findall(r"(/\S+) \(0x", said)}
    (libc,) = (os.path.dirname(f) for f in files if f.endswith("/libc.so.6"))
    for file in files.union(os.path.join(libc, name) for name in LIBC):
        os.makedirs(path + os.path.dirname(file), exist_ok=True)
        shutil.copy(file, path + file)
    left = "site-packages", "dist-packages", "test", "__pycache__"
    shutil.copytree(stdlib, path + stdlib, ignore=shutil.ignore_patterns(*left))


def test_a_python_alone_is_profiled(tmp_path):
    with bare.root(python_alone) as root:
        wheels.unpack("abi3-manylinux2014_x86_64", root.path + "/site")
        root.profile(
            tmp_path,
            os.path.realpath(sys.executable),
            PYTHONHOME=sys.base_prefix,
            PYTHONPATH="/site",
        )
