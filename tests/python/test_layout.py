"""The committed layouts are what the interpreters' own headers say."""

import os
import platform
import re
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("elftools", reason="pyelftools is not installed")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAKE_LAYOUT = os.path.join(ROOT, "scripts", "make-layout")
LAYOUTS = os.path.join(ROOT, "src", "cpython", "layouts")
COMPILER = os.environ.get("CC", "cc")

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER.split()[0]) is None, reason="there is no C compiler"
)

ASK = """import os, platform, sysconfig
print(platform.machine())
print(os.path.exists(os.path.join(sysconfig.get_path('include'), 'patchlevel.h')))"""


def need_headers(python):
    answer = subprocess.check_output([python, "-c", ASK], universal_newlines=True)
    machine, there = answer.split()
    if machine != platform.machine():
        pytest.skip("%s is for %s" % (python, machine))
    if there != "True":
        pytest.skip("there are no headers of " + python)


def check(python, layouts):
    done = subprocess.run(
        [sys.executable, MAKE_LAYOUT, "--check", "--layouts", str(layouts), python],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=120,
        check=False,
    )
    for words in ("no description of", "is not served"):
        if words in done.stdout:
            pytest.skip(done.stdout.strip())
    return done


def test_layout_agrees_with_the_headers(python):
    need_headers(python.path)
    done = check(python.path, LAYOUTS)
    assert done.returncode == 0, done.stdout


def edited(tmp_path, edit):
    """A copy of the layouts, those of this version changed by `edit`."""
    copy = tmp_path / "layouts"
    shutil.copytree(LAYOUTS, str(copy))
    own = [p for p in copy.iterdir() if re.match(OWN, p.name)]
    assert own or not edit, "no layout of this version"
    for path in own:
        edit(path)
    return copy


OWN = r"cp3%d[a-z]*\.inc$" % sys.version_info[1]


def move_a_field(path):
    text = path.read_text()
    old = re.search(r"\.firstlineno = (\d+)", text)
    path.write_text(text.replace(old.group(), ".firstlineno = 8%s" % old.group(1)))


def drop_a_field(path):
    path.write_text(re.sub(r"\t\t\.firstlineno = .*\n", "", path.read_text()))


def add_a_field(path):
    text = path.read_text()
    path.write_text(text.replace("\t.bytes = {\n", "\t.bytes = {\n\t\t.more = 8,\n"))


@pytest.mark.parametrize(
    "edit, words",
    [
        (move_a_field, "code.firstlineno is 8"),
        (drop_a_field, "code.firstlineno is 0"),
        (add_a_field, "bytes.more is 8; the headers say 0"),
        (os.remove, "no entry for 3.%d" % sys.version_info[1]),
    ],
)
def test_an_edited_layout_is_noticed(tmp_path, edit, words):
    need_headers(sys.executable)
    done = check(sys.executable, edited(tmp_path, edit))
    assert done.returncode == 1
    assert words in done.stdout


def test_a_check_that_was_edited_is_noticed(tmp_path):
    """What the running interpreter's own table is held against."""
    if sys.version_info < (3, 13):
        pytest.skip("the table is from 3.13")
    need_headers(sys.executable)

    def edit(path):
        text = path.read_text()
        path.write_text(re.sub(r"\{ 40, \d+ \}", "{ 40, 8 }", text))

    done = check(sys.executable, edited(tmp_path, edit))
    assert done.returncode == 1
    assert "check.01.value is 8" in done.stdout
