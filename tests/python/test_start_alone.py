"""start() for real: each program in an interpreter of its own, with a service that
is not there. And what the package says of itself."""

import ast
import inspect
import os
import socket

import googlecloudprofiler
import pytest

PACKAGE = os.path.dirname(googlecloudprofiler.__file__)
SECOND_CALL = (
    "googlecloudprofiler.start() called again after it was previously called. This "
    "function should only be called once. This call is ignored."
)
VARIABLES = [
    "CLOUDSDK_CONFIG",
    "GAE_SERVICE",
    "GAE_VERSION",
    "GCLOUD_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROFILER_ENABLED",
    "GOOGLE_CLOUD_PROFILER_ENDPOINT",
    "GOOGLE_CLOUD_PROJECT",
    "K_REVISION",
    "K_SERVICE",
]

BEGIN = """
import logging, sys, threading, warnings

import googlecloudprofiler
from googlecloudprofiler import _native

warnings.simplefilter("error")
records = []

class Keep(logging.Handler):
    def emit(self, record):
        records.append((record.name, record.levelname, record.getMessage()))

logger = logging.getLogger("googlecloudprofiler")
logger.addHandler(Keep())
LOCAL = {"service": "a", "api_endpoint": sys.argv[1]}
"""


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def starts(run_python, tmp_path):
    """starts(text, **environ) runs a program, which prints nothing."""

    def run(text, **environ):
        clean = dict.fromkeys(VARIABLES, "")
        clean.update(environ, HOME=str(tmp_path))
        done = run_python(
            BEGIN + text, "http://127.0.0.1:%d" % closed_port(), env=clean
        )
        assert done.stdout == done.stderr == ""

    return run


def parameters_of(function):
    """(positional, keyword-only) names of an ast's function; all have defaults."""
    a = function.args
    assert not a.vararg and not a.kwarg
    assert len(a.defaults) == len(a.args)
    assert None not in a.kw_defaults
    return [x.arg for x in a.args], [x.arg for x in a.kwonlyargs]


def test_import_brings_nothing_that_only_some_programs_need(run_python):
    """Each of these takes milliseconds, for which a program waits as it starts."""
    done = run_python(
        """
import logging, sys
before = set(sys.modules)
import googlecloudprofiler
dear = "asyncio http.client platform socket sqlite3 ssl subprocess urllib.request"
print(sorted(set(dear.split()) & (set(sys.modules) - before)))
"""
    )
    assert done.stdout == "[]\n"


def test_the_stub_says_what_the_module_does():
    with open(os.path.join(PACKAGE, "__init__.pyi"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    assert sorted(functions) == ["start", "stop"]
    for name, function in functions.items():
        real = inspect.signature(getattr(googlecloudprofiler, name)).parameters
        positional, keywords = parameters_of(function)
        assert positional + keywords == list(real)
        assert keywords == [k for k, p in real.items() if p.kind == p.KEYWORD_ONLY]
    assert os.path.exists(os.path.join(PACKAGE, "py.typed"))


def test_docstrings_name_every_parameter_and_error():
    text = inspect.getdoc(googlecloudprofiler.start)
    names = list(inspect.signature(googlecloudprofiler.start).parameters)
    for name in [*names, "ValueError", "NotImplementedError"]:
        assert "\n    %s: " % name in text
    assert inspect.getdoc(googlecloudprofiler.stop)


def test_a_failed_start_can_be_retried_and_a_second_one_is_ignored(starts):
    starts(
        """
for wrong in ({"service": "Bad"}, {"period_ms": 0}, {"zone": 5}):
    try:
        googlecloudprofiler.start(**dict(LOCAL, **wrong))
    except (ValueError, TypeError):
        assert not _native.running()
    else:
        raise AssertionError(wrong)
assert googlecloudprofiler.start(verbose=1, **LOCAL) is None
assert _native.running()
assert records == []
assert googlecloudprofiler.start(service=5, verbose="x", period_ms=()) is None
assert logger.level == logging.WARNING
assert records == [("googlecloudprofiler", "WARNING", %r)], records
googlecloudprofiler.stop()
assert not _native.running()
googlecloudprofiler.stop()
googlecloudprofiler.start(verbose=1, **LOCAL)
assert _native.running() and len(records) == 1
"""
        % SECOND_CALL
    )


def test_verbose_is_the_level_of_our_logger_only(starts):
    starts(
        """
root = logging.getLogger()
before = (root.level, list(root.handlers), list(root.filters))
table = {0: "ERROR", 1: "WARNING", 2: "INFO", 3: "DEBUG", 4: "DEBUG", 10**9: "DEBUG",
         -1: "DEBUG", -2: "INFO", -3: "WARNING", -4: "ERROR"}
for verbose, want in table.items():
    googlecloudprofiler.start(verbose=verbose, **LOCAL)
    assert logging.getLevelName(logger.level) == want, verbose
    assert logging.getLogger("googlecloudprofiler.client").level == logging.NOTSET
    googlecloudprofiler.stop()
for verbose, error in ((-5, IndexError), ("1", TypeError), (None, TypeError),
                       (1.0, TypeError)):
    try:
        googlecloudprofiler.start(verbose=verbose, **LOCAL)
    except error:
        assert not _native.running()
    else:
        raise AssertionError(verbose)
assert before == (root.level, list(root.handlers), list(root.filters))
"""
    )


def test_words_come_from_the_original_loggers_only(starts):
    starts(
        """
googlecloudprofiler.start(verbose=2, disable_cpu_profiling=True,
                          discovery_service_url="http://x", **LOCAL)
googlecloudprofiler.stop()
googlecloudprofiler.start(verbose=3, disable_wall_profiling=True, **LOCAL)
googlecloudprofiler.stop()
client = "googlecloudprofiler.client"
version = googlecloudprofiler.__version__.__version__
for wanted in [
    ("googlecloudprofiler", "INFO",
     "Google Cloud Profiler Python agent version: " + version),
    (client, "INFO", "CPU profiling is disabled by disable_cpu_profiling"),
    (client, "INFO", "Wall profiling is disabled by disable_wall_profiling"),
]:
    assert wanted in records, records
assert {r[0] for r in records} == {"googlecloudprofiler", client}, records
"""
    )


def test_all_nine_by_position(starts):
    starts(
        """
googlecloudprofiler.start("a", "v1", "p", None, 0, False, True, 20.5, None)
assert _native.running()
""",
        GOOGLE_CLOUD_PROFILER_ENDPOINT="http://127.0.0.1:%d" % closed_port(),
    )


def test_another_thread_may_start_and_stop(starts):
    starts(
        """
def call(function, **kwargs):
    raised = []
    def run():
        try:
            function(**kwargs)
        except BaseException as e:
            raised.append(e)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not raised, raised

call(googlecloudprofiler.start, **LOCAL)
assert _native.running()
call(googlecloudprofiler.stop)
assert not _native.running()
"""
    )


def test_of_many_that_start_at_once_one_does(starts):
    starts(
        """
barrier = threading.Barrier(8)
raised = []

def run():
    barrier.wait()
    try:
        googlecloudprofiler.start(verbose=1, **LOCAL)
    except BaseException as e:
        raised.append(e)

threads = [threading.Thread(target=run) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not raised, raised
assert _native.running()
assert [r[2] for r in records] == [%r] * 7, records
"""
        % SECOND_CALL
    )


def test_start_from_a_deep_stack_and_from_odd_names(starts):
    """The self-test compares with Python what the sampler shortens and cleans."""
    starts(
        r"""
sys.setrecursionlimit(10000)

def deep(n):
    if n:
        deep(n - 1)
    else:
        googlecloudprofiler.start(**LOCAL)

def check():
    assert _native.running()
    googlecloudprofiler.stop()

for n in (300, 600, 5000):
    deep(n)
    check()
call = "googlecloudprofiler.start(**LOCAL)"
for file in ("caf\udce9.py", "\u65e5\U0001f600.py", "long" * 3000):
    exec(compile(call, file, "exec"))
    check()
name = "n" * 3000
exec("def %s(): %s\n%s()" % (name, call, name))
check()
"""
    )


def test_disabled_by_the_environment_nothing_is_looked_at(starts):
    starts(
        """
level = logger.level
assert googlecloudprofiler.start(service=5, verbose="x") is None
assert not _native.running()
assert logger.level == level
assert records == []
""",
        GOOGLE_CLOUD_PROFILER_ENABLED="false",
    )
