"""The command line: arguments, errors, and a program run as python runs it."""

import os
import subprocess
import sys
import textwrap
import zipfile

import pytest
from googlecloudprofiler import _cli, _run, _serve, _store


def decode(data):
    if not data.startswith(b"profile"):
        raise RuntimeError("not a profile")
    name = data.decode().split()[1]
    return {
        "value_types": [("cpu", "nanoseconds")],
        "default": 0,
        "samples": [([0], [10**9], [])],
        "locations": [[(name, "/app/x.py", 3, 2)]],
        "comments": [],
        "time_ns": 0,
        "duration_ns": 10**10,
        "period": 1,
        "period_type": ("cpu", "nanoseconds"),
    }


class Native:
    decode_profile = staticmethod(decode)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The path of a store with two profiles: CPU of `spin`, then WALL of `nap`."""
    monkeypatch.setattr(_serve, "native", lambda: Native)
    path = str(tmp_path / "store")
    with _store.Store(path, decode) as s:
        for i, (type, name) in enumerate([("CPU", b"spin"), ("WALL", b"nap")]):
            profile_id = ("%d" % (i + 1)) * 32
            s.add(profile_id, "n", "p", "web", type, {}, 1, b"profile " + name)
    return path


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "a command is needed"),
        (["sereve"], "a command is needed"),
        (["serve", "--interval", "0"], "not a number of seconds"),
        (["serve", "--interval", "nan"], "not a number of seconds"),
        (["serve", "--interval", "inf"], "not a number of seconds"),
        (["serve", "--duration", "301"], "not a number of seconds"),
        (["serve", "--duration", "x"], "not a number of seconds"),
        (["serve", "--types", "CPU,GPU"], "'GPU' is none of CPU"),
        (["serve", "--types", "CPU,cpu"], "names a type twice"),
        (["serve", "--types", ""], "is none of"),
        (["serve", "--until", "0"], "not a number from 1"),
        (["serve", "--timeout", "-1"], "not a number of seconds"),
        (["serve", "--keep", "none"], "not a number from 1"),
        (["serve", "--keep-bytes", "much"], "'much' is not a size such as 10G"),
        (["serve", "--keep-age", "30"], "'30' is not a time such as 30d"),
        (["serve", "--inter", "5"], "unrecognized"),
        (["serve", "extra"], "unrecognized"),
        (["run"], "a SCRIPT or -m MODULE is needed"),
        (["run", "--limit", "3"], "a SCRIPT or -m MODULE is needed"),
        (["run", "-m"], "a SCRIPT or -m MODULE is needed"),
        (["run", "/nowhere/x.py"], "there is no file '/nowhere/x.py'"),
        (["run", "--limit", "x", "a.py"], "not a number from 1"),
        (["run", "--bogus", "1", "a.py"], "unrecognized"),
        (["run", "--rate", "0.5", "a.py"], "samples a second from 1 to 1000"),
        (["run", "--rate", "1001", "a.py"], "samples a second from 1 to 1000"),
        (["run", "--rate", "nan", "a.py"], "samples a second from 1 to 1000"),
        (["run", "--rate", "fast", "a.py"], "samples a second from 1 to 1000"),
        (["import"], "required: FILE"),
        (["import", "--service", "Bad Name", "x"], "does not match"),
        (["import", "--type", "GPU", "x"], "'GPU' is none of CPU"),
        (["show", "--sort", "name"], "invalid choice"),
        (["show", "--list", "x"], "--list goes without"),
        (["show", "--type", "CPU,WALL"], "more than one type"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(capsys, arguments, words):
    assert _cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["serve"], ["import"], ["run"], ["show"]])
def test_help(capsys, command):
    try:
        status = _cli.main([*command, "--help"])
    except SystemExit as e:
        status = e.code
    assert not status
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, want",
    [
        (["a.py"], ([], "a.py", False, [])),
        (
            ["--limit", "3", "a.py", "--limit", "4", "-m"],
            (["--limit", "3"], "a.py", False, ["--limit", "4", "-m"]),
        ),
        (["--limit=3", "a.py", "x"], (["--limit=3"], "a.py", False, ["x"])),
        (
            ["--open", "a.py", "--open"],
            (["--open"], "a.py", False, ["--open"]),
        ),
        (
            ["--rate", "50", "--open", "-m", "pkg"],
            (["--rate", "50", "--open"], "pkg", True, []),
        ),
        (
            ["--types", "CPU", "-m", "pkg.mod", "-m", "--", "-h"],
            (["--types", "CPU"], "pkg.mod", True, ["-m", "--", "-h"]),
        ),
        (["-mpkg", "x"], ([], "pkg", True, ["x"])),
        (["--", "-odd.py", "x"], ([], "-odd.py", False, ["x"])),
        (["--"], ([], None, False, [])),
        (["--limit"], (["--limit"], None, False, [])),
    ],
)
def test_the_programs_arguments_are_its_own(arguments, want):
    assert _cli._split_program(arguments) == want


@pytest.mark.parametrize(
    "program, want",
    [
        ("/x/My App.py", "my-app"),
        ("pkg.mod", "pkg.mod"),
        ("__main__.py", "main"),
        ("app.pyz", "app"),
        ("\xe9.py", "program"),
        ("x" * 300, "x" * 255),
    ],
)
def test_service_names(program, want):
    assert _run.service_name(program) == want


@pytest.mark.parametrize(
    "arguments, names",
    [
        ([], ["nap"]),
        (["--type", "cpu"], ["spin"]),
        (["1"], ["spin"]),
        (["2222", "1"], ["nap", "spin"]),
    ],
)
def test_show(capsys, store, arguments, names):
    assert _cli.main(["show", "--store", store, *arguments]) == 0
    out = capsys.readouterr().out
    assert [w for w in out.split() if w in ("spin", "nap")] == names
    assert "/app/x.py:2" in out and "'web'" in out


def test_show_a_file(capsys, store, tmp_path):
    (tmp_path / "some.pb").write_bytes(b"profile whirl")
    assert _cli.main(["show", str(tmp_path / "some.pb")]) == 0
    assert "whirl" in capsys.readouterr().out


def test_show_a_list(capsys, store):
    assert _cli.main(["show", "--store", store, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in lines] == ["id", "22", "11"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["3"], "neither a file nor the id"),
        ([""], "begins more than one id"),
        (["--type", "HEAP"], "no HEAP profiles"),
        ([os.path.dirname(__file__)], "cannot read"),
        ([__file__], "not a profile"),
        (["--store", "/nowhere"], "no profiles are stored"),
    ],
)
def test_show_failures_are_one_line_and_status_1(capsys, store, arguments, words):
    assert _cli.main(["show", "--store", store, *arguments]) == 1
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


RUNNER = """
import sys
from googlecloudprofiler import _run
_run.run_program(sys.argv[2], sys.argv[1] == "-m", sys.argv[3:])
"""

SHOW_WORLD = """
import sys, os
main = sys.modules["__main__"]
print(sys.argv, sys.path[0], __name__, main.__dict__ is globals())
print(__file__, __package__, main.__spec__ and main.__spec__.name, __doc__)
print(sorted(k for k in globals() if not k.startswith("_")))
"""

PROGRAMS = {
    "plain": SHOW_WORLD,
    "exit text": "import sys; sys.exit('bye')",
    "exit 3": "import sys; sys.exit(3)",
    "raise": "def f():\n    1 / 0\nf()\n",
    "chained": "try:\n    1 / 0\nexcept Exception as e:\n    raise KeyError from e\n",
    "syntax": "x = = 1\n",
    "import": "import nowhere.at.all\n",
    "interrupt": "raise KeyboardInterrupt\n",
    "own hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0], a[2] and "
    "a[2].tb_frame.f_code.co_name)\n1 / 0\n",
    "thread": "import threading, atexit\natexit.register(print, 'exit')\n"
    "threading.Timer(0.05, lambda: print('thread', __name__)).start()\n",
    "pickle": "import pickle\nclass C: pass\n"
    "print(type(pickle.loads(pickle.dumps(C()))) is C)\n",
}


def outcome(command, cwd):
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [sys.executable, *command],
        cwd=str(cwd),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def both(tmp_path, kind, program, *arguments):
    """How a program goes under python, and under run."""
    runner = tmp_path / "bin" / "runner.py"
    runner.parent.mkdir()
    runner.write_text(RUNNER)
    module = ["-m"] if kind == "-m" else []
    plain = outcome([*module, program, *arguments], tmp_path)
    ours = outcome([str(runner), kind or "script", program, *arguments], tmp_path)
    return plain, ours


@pytest.mark.parametrize("kind", ["", "-m"])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_runs_as_under_python(tmp_path, kind, name):
    (tmp_path / "prog.py").write_text(PROGRAMS[name])
    program = "prog" if kind else "prog.py"
    plain, ours = both(tmp_path, kind, program, "--x", "-m", "y z")
    assert ours == plain


def test_a_directory_runs_as_under_python(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(SHOW_WORLD)
    (tmp_path / "app" / "helper.py").write_text("")
    plain, ours = both(tmp_path, "", "app", "x")
    assert plain[0] == 0 and ours == plain


def test_a_zip_runs_as_under_python(tmp_path):
    with zipfile.ZipFile(str(tmp_path / "app.pyz"), "w") as archive:
        archive.writestr("__main__.py", SHOW_WORLD)
    plain, ours = both(tmp_path, "", "app.pyz", "x")
    assert plain[0] == 0 and ours == plain


def test_a_package_runs_as_under_python(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "__main__.py").write_text(textwrap.dedent(SHOW_WORLD))
    plain, ours = both(tmp_path, "-m", "pkg", "x")
    assert plain[0] == 0 and ours == plain


def test_a_missing_module_is_told_as_by_python(tmp_path):
    plain, ours = both(tmp_path, "-m", "nowhere")
    assert ours == plain and plain[0] == 1


BUSY = """
import os, sys, time

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

try:
    os.wait()
except ChildProcessError:
    print("no child that is not mine", flush=True)
if os.fork() == 0:
    sys.exit(0)
os.wait()
spin(float(sys.argv[1]))
sys.exit(7)
"""


def run_for_real(tmp_path, *arguments):
    pytest.importorskip("googlecloudprofiler._native")
    (tmp_path / "busy.py").write_text(BUSY)
    command = ["-m", "googlecloudprofiler", "run", "--store", str(tmp_path / "store")]
    status, out, err = outcome([*command, *arguments], tmp_path)
    if sys.version_info[:2] != (3, 11) and "the profiler does not" in err:
        pytest.skip(err)
    return status, out, err


def test_run_prints_both_tables_and_ends_as_the_program(tmp_path):
    status, out, err = run_for_real(tmp_path, "--duration", "0.3", "busy.py", "2")
    assert status == 7
    assert out == "no child that is not mine\n"
    assert err.count("CPU profile of 'busy'") == 1
    assert err.count("WALL profile of 'busy'") == 1
    assert "spin" in err and "_run.py" not in err and "runpy" not in err


def test_run_without_a_profile_says_so(tmp_path):
    status, out, err = run_for_real(tmp_path, "--types", "HEAP", "busy.py", "0")
    assert status == 7
    assert out == "no child that is not mine\n"
    assert err.count("\n") == 1 and "before a profile was collected" in err


def test_run_does_not_start_a_program_it_cannot_profile(tmp_path):
    status, out, err = run_for_real(tmp_path, "--service", "Bad Name", "busy.py", "0")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1 and "Bad Name" in err


def test_bytes_that_are_no_profile_are_refused_by_the_reader():
    native = pytest.importorskip("googlecloudprofiler._native")
    with pytest.raises((RuntimeError, ValueError)):
        native.decode_profile(b"garbage")
    with pytest.raises(TypeError):
        native.decode_profile("text")
