"""What docs/fork.md promises, with musl: the same tests on its Python and wheel."""

import os
import subprocess
import sys

import wheels
from wheels import unpack

pytestmark = wheels.needed

E2E = os.path.join(os.path.dirname(wheels.HERE), "e2e")
FILES = ("test_children.py", "test_fork.py", "test_exit.py")
# The sandbox needs ctypes, which that Python does not have. With musl a process whose
# forking thread has ended never ends, with the agent or without.
NOT = ("sandbox", "where_the_spare_comes_from", "waits_for_the_others")


def test_forks_and_ends_are_as_with_glibc(musl, tmp_path):
    site = unpack("abi3-musllinux_1_2_x86_64", tmp_path / "site")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rA", "-k"),
            " and ".join("not " + name for name in NOT),
            *(os.path.join(E2E, name) for name in FILES),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=500,
        check=False,
        cwd=os.path.dirname(os.path.dirname(E2E)),
        env=dict(
            os.environ,
            CPROF_SITE=site,
            CPROF_PYTHON=os.path.join(musl, "usr", "local", "bin", "python3"),
        ),
    )
    assert done.returncode == 0, done.stdout
    assert "PASSED tests/e2e/test_children.py::test_a_thousand_forks" in done.stdout
