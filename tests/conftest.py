"""What all tests share: the unit tests of the C modules as pytest items, and where
things are.

Each C test runs in a process of its own, from the sanitized build in build/asan,
with a timeout. They are found by name in tests/unit/u-*.c, as the build does it.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNIT_BUILD = os.environ.get(
    "CPROF_UNIT_BUILD", os.path.join(ROOT, "build", "asan", "tests", "unit")
)
UNIT_TIMEOUT_S = 60

_spec = importlib.util.spec_from_file_location(
    "make_main", os.path.join(ROOT, "tests", "unit", "make-main.py")
)
_make_main = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_make_main)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.name.startswith("u-"):
        return UnitFile.from_parent(parent, path=file_path)
    return None


class UnitFile(pytest.File):
    def collect(self):
        for name in _make_main.tests_in(str(self.path)):
            yield UnitTest.from_parent(self, name=name)


class UnitTest(pytest.Item):
    def runtest(self):
        program = os.path.join(UNIT_BUILD, self.path.stem)
        done = subprocess.run(
            [program, self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=UNIT_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise UnitFailure(
                "exit status %d\n%s"
                % (done.returncode, done.stdout.decode("utf-8", "replace"))
            )

    def repr_failure(self, excinfo):
        if excinfo.errisinstance(UnitFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, self.name


class UnitFailure(Exception):
    """A C test ended with a status other than 0."""


@pytest.fixture
def run_python(tmp_path):
    """Run a program in a fresh interpreter with the package under test.

    run_python(text, *args, check=True, timeout=60, env=None) returns a
    CompletedProcess with text output.
    """

    def run(text, *args, check=True, timeout=60, env=None):
        path = tmp_path / "program.py"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(path), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=timeout,
            env=dict(os.environ, **(env or {})),
            cwd=str(tmp_path),
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
