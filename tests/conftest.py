"""What all tests share: the unit tests of the C modules as pytest items, programs
on every Python that is here, and where things are.

Each C test runs in a process of its own, from the sanitized build in build/asan,
with a timeout. They are found by name in tests/unit/u-*.c, as the build does it. So are
the fuzz targets, tests/fuzz/f-*.c: each runs all of its inputs, and mutations of them.

A test that asks for `show` runs on sys.executable or, with CPROF_EVERY_PYTHON=1, once
for each Python that tests/interpreters/find.py finds, with its label in the test's
name: `-k 3.12` selects.
"""

import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys

import find
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNIT_BUILD = os.environ.get(
    "CPROF_UNIT_BUILD", os.path.join(ROOT, "build", "asan", "tests", "unit")
)
FUZZ_BUILD = os.path.join(ROOT, "build", "asan", "tests", "fuzz")
CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")
MUTATIONS = 300

# A shell's background job ignores it, and so would all programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
UNIT_TIMEOUT_S = 60

INTERPRETERS = os.path.join(ROOT, "tests", "interpreters")

# CPROF_EVERY_PYTHON=1 runs the programs on every Python that is here.
EVERY_PYTHON = bool(os.environ.get("CPROF_EVERY_PYTHON"))
# CPROF_LONG=1 asks for what takes too long for each day.
LONG = bool(os.environ.get("CPROF_LONG"))
# Windows on all Pythons but the first are shorter by this.
PACE = 0.4
PROGRAM_TIMEOUT_S = 3600 if LONG else 120


def _module(name, *path):
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROOT, *path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Another package than the installed one, such as one that was made for a wheel. Where
# programs run on another Python (CPROF_PYTHON), it may not load here.
SITE = os.environ.get("CPROF_SITE")
if SITE:
    if "CPROF_PYTHON" not in os.environ:
        sys.path.insert(0, SITE)
    os.environ["PYTHONPATH"] = SITE

_make_main = _module("make_main", "tests", "unit", "make-main.py")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.name.startswith("u-"):
        return UnitFile.from_parent(parent, path=file_path)
    if file_path.suffix == ".c" and file_path.name.startswith("f-"):
        return FuzzFile.from_parent(parent, path=file_path)
    return None


class UnitFile(pytest.File):
    def collect(self):
        program = os.path.join(UNIT_BUILD, self.path.stem)
        for name in _make_main.tests_in(str(self.path)):
            yield UnitTest.from_parent(self, name=name, command=[program, name])


class FuzzFile(pytest.File):
    def collect(self):
        program = os.path.join(FUZZ_BUILD, self.path.stem)
        inputs = os.path.join(CORPUS, self.path.stem[2:])
        yield UnitTest.from_parent(
            self, name="replay", command=[program, inputs, str(MUTATIONS)]
        )


class UnitTest(pytest.Item):
    def __init__(self, command, **kwargs):
        super().__init__(**kwargs)
        self.command = command

    def runtest(self):
        done = subprocess.run(
            self.command,
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


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        runs_programs = "show" in metafunc.fixturenames
        metafunc.parametrize(
            "python",
            find.pythons()[: 1 if runs_programs and not EVERY_PYTHON else None],
            ids=lambda p: p.label,
            scope="module",
        )


@pytest.fixture(scope="session")
def only_package(tmp_path_factory):
    """A folder with the package under test and nothing else of site-packages."""
    import googlecloudprofiler

    folder = tmp_path_factory.mktemp("site")
    package = os.path.dirname(os.path.abspath(googlecloudprofiler.__file__))
    (folder / "googlecloudprofiler").symlink_to(package)
    return str(folder)


_own = {}


def own_package(python, tmp_path_factory):
    """A folder with the package for a Python that needs files of its own."""
    if python.kind not in _own:
        _own[python.kind] = make_package(python, tmp_path_factory)
    return _own[python.kind]


def make_package(python, tmp_path_factory):
    variable = "CPROF_%s_SITE" % python.kind.upper()
    site = os.environ.get(variable)
    if site:
        return site
    cmake = os.path.join(os.path.dirname(sys.executable), "cmake")
    if python.kind != "free_threaded" or not os.path.exists(cmake):
        pytest.skip("needs a package of its own, in a folder that $%s names" % variable)
    folder = str(tmp_path_factory.mktemp("own"))
    done = subprocess.run(
        [os.path.join(INTERPRETERS, "package.sh"), python.path, folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=600,
        env=dict(
            os.environ, PATH=os.path.dirname(cmake) + os.pathsep + os.environ["PATH"]
        ),
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder


# Asked before anything else of a Python, in a process that may well crash.
ASK_WALK = """
from googlecloudprofiler import _native
try:
    _native.walk_self()
except NotImplementedError as e:
    print("refused: %s" % e)
"""


@functools.lru_cache(None)
def refusal(path, site):
    """Why the native module does not serve this Python; "" when it does."""
    done = subprocess.run(
        [path, "-c", ASK_WALK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
        env=_environment(site),
        check=False,
    )
    if done.returncode:
        return "does not load: " + _ending(done)
    return done.stdout.strip()


def _environment(site, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return dict(env, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE="1", **more)


def _ending(done):
    if done.returncode < 0:
        return "%s\n%s" % (signal.Signals(-done.returncode).name, done.stderr)
    return "exit status %d\n%s" % (done.returncode, done.stderr)


@pytest.fixture
def show(python, only_package, tmp_path, tmp_path_factory):
    """show(text, *args) runs a program on each Python, and is what it printed as JSON.

    tests/interpreters/child.py comes before `text`. The test is skipped where the
    program says so, and where the profiler may refuse the Python and does.
    """
    site = only_package
    if python.kind:
        site = own_package(python, tmp_path_factory)
    refused = refusal(python.path, site)
    if refused:
        (pytest.fail if python.served else pytest.skip)(refused)
    first = python is find.pythons()[0]

    def run(text, *args):
        path = tmp_path / "program.py"
        with open(os.path.join(INTERPRETERS, "child.py"), encoding="utf-8") as f:
            path.write_text(f.read() + text, encoding="utf-8")
        done = subprocess.run(
            [python.path, str(path), *[str(a) for a in args]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=PROGRAM_TIMEOUT_S,
            env=_environment(site, CPROF_TEST_PACE=str(1 if first or LONG else PACE)),
            cwd=str(tmp_path),
            check=False,
        )
        assert done.returncode == 0, done.stdout + _ending(done)
        seen = json.loads(done.stdout.splitlines()[-1])
        if isinstance(seen, dict) and "skip" in seen:
            pytest.skip(seen["skip"])
        return seen

    return run


def pytest_collection_modifyitems(items):
    if LONG:
        for item in items:
            if "show" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(PROGRAM_TIMEOUT_S + 60))
