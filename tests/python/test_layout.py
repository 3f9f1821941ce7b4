"""The committed layouts are what the interpreter's own headers say."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAKE_LAYOUT = os.path.join(ROOT, "scripts", "make-layout")
LAYOUT = os.path.join(ROOT, "src", "cpython", "layouts", "cp311.inc")
COMPILER = os.environ.get("CC", "cc")
DEBIAN = "/usr/bin/python3.11"

pytestmark = [
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="the layout is CPython 3.11's"
    ),
    pytest.mark.skipif(
        shutil.which(COMPILER.split()[0]) is None, reason="there is no C compiler"
    ),
]


def include_of(python):
    """The folder of the headers of the interpreter at `python`, or None."""
    if python == sys.executable:
        folder = sysconfig.get_path("include")
    else:
        ask = "import sysconfig; print(sysconfig.get_path('include'))"
        answer = subprocess.check_output([python, "-c", ask], universal_newlines=True)
        folder = answer.strip()
    internal = os.path.join(folder, "internal", "pycore_frame.h")
    return folder if os.path.exists(internal) else None


def check(layout, python):
    return subprocess.run(
        [sys.executable, MAKE_LAYOUT, "--check", str(layout), python],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("python", [sys.executable, DEBIAN])
def test_layout_agrees_with_the_headers(python):
    if not os.path.exists(python):
        pytest.skip("there is no " + python)
    if not include_of(python):
        pytest.skip("there are no headers of " + python)
    done = check(LAYOUT, python)
    assert done.returncode == 0, done.stdout


def test_an_edited_layout_is_noticed(tmp_path):
    if not include_of(sys.executable):
        pytest.skip("there are no headers of " + sys.executable)
    with open(LAYOUT, encoding="ascii") as file:
        text = file.read()
    field = next(line for line in text.splitlines() if ".prev_instr" in line)
    name, value = field.rstrip(",").split("= ")
    edited = tmp_path / "cp311.inc"
    edited.write_text(text.replace(field, "%s= %d," % (name, int(value) + 8)))
    done = check(edited, sys.executable)
    assert done.returncode == 1
    assert field in done.stdout
