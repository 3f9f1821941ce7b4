"""docs/troubleshooting.md has a section for each line at WARNING or ERROR, and other
pages name tests that there are."""

import ast
import glob
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUIET = ("CPROF_DEBUG", "CPROF_INFO")

LITERALS = r'((?:"(?:\\.|[^"\\])*"\s*)+)'
ADVICE = re.compile(r"\[CPROF_TROUBLE_\w+\] =\s*" + LITERALS)
LOG = re.compile(r"\bcprof_log\(\s*([^,\"]+?),\s*" + LITERALS)
SPOKEN = re.compile(
    r"snprintf\(text, [^,]+, " + LITERALS + r"[^;]*;\s*(?:return )?speak\((\w+)"
)
FAILED = re.compile(r"cprof_fail\(err, CPROF_EAUTH,\s*" + LITERALS)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def joined(literals):
    """What adjacent literals of C's are together."""
    return "".join(map(ast.literal_eval, re.findall(r'"(?:\\.|[^"\\])*"', literals)))


def headings(level):
    rows = read("docs", "troubleshooting.md").splitlines()
    marker = "#" * level + " "
    return [row[len(marker) :] for row in rows if row.startswith(marker)]


def advice():
    found = ADVICE.findall(read("src", "agent", "words.c"))
    return [words for words in map(joined, found) if words]


def lines_of_c():
    """The formats of all that may be logged at WARNING or ERROR by src/."""
    for path in glob.glob(os.path.join(ROOT, "src", "**", "*.c"), recursive=True):
        text = read(path)
        for level, literals in LOG.findall(text):
            if level not in QUIET:
                yield joined(literals)
        for literals, level in SPOKEN.findall(text):
            if level not in QUIET:
                yield joined(literals)


def lines_of_python():
    """And by the package, where it uses a logger."""
    for path in glob.glob(os.path.join(ROOT, "python", "googlecloudprofiler", "*.py")):
        tree = ast.parse(read(path))
        named = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("warning", "error", "exception", "critical")
                and getattr(node.func.value, "id", "").endswith("_logger")
            ):
                text = node.args[0]
                text = named[text.id] if isinstance(text, ast.Name) else text
                yield ast.literal_eval(text)


def pattern(text):
    """What a format may become."""
    fixed = re.split(r"%[-+ 0#\d.]*(?:ll|l|z)?[a-zA-Z]", text)
    return re.compile(".+".join(map(re.escape, fixed)).replace(".+.+.+", ".+") + r"\Z")


LINES = sorted({*lines_of_c(), *lines_of_python()})


@pytest.mark.parametrize("line", LINES)
def test_each_line_has_a_section(line):
    assert [h for h in headings(2) if pattern(line).match(h)], line


def test_each_section_is_of_a_line():
    known = [pattern(line) for line in LINES]
    assert [h for h in headings(2) if not any(p.match(h) for p in known)] == []


def test_the_lines_are_found():
    for beginning in ("Failed to create", "Cannot start", "The proxy", "%llu log"):
        assert [line for line in LINES if line.startswith(beginning)]
    assert len(LINES) >= 9


@pytest.mark.parametrize("words", advice())
def test_each_advice_has_a_section(words):
    assert words in headings(3)


def test_advice_that_is_a_message_itself_has_a_section():
    (words,) = map(joined, FAILED.findall(read("src", "agent", "roots.c")))
    assert words in headings(3)


def test_each_section_is_of_an_advice():
    (roots,) = map(joined, FAILED.findall(read("src", "agent", "roots.c")))
    assert set(headings(3)) == {*advice(), roots, "without an advice"}


PAGES = {
    "platforms.md": ("google", "python"),
    "service.md": ("google", "python"),
    "hard-places.md": ("hard", "e2e"),
}


@pytest.mark.parametrize("page", list(PAGES))
def test_the_tests_that_a_page_names_are_there(page):
    named = re.findall(r"`[up]?:?(test_\w+)(?:\.py)?`", read("docs", page))
    files = [
        path
        for folder in PAGES[page]
        for path in glob.glob(os.path.join(ROOT, "tests", folder, "*.py"))
    ]
    there = {os.path.basename(f)[: -len(".py")] for f in files}
    for path in files:
        there.update(re.findall(r"^def (test_\w+)", read(path), re.MULTILINE))
    assert len(named) > 9
    assert [name for name in named if name not in there] == []


def limits_of_c():
    """name: value of what src/base/limits.h says of profiles that are read."""
    names = r"#define (CPROF_MAX_(?:READ_\w+|INFLATION|PROFILE_BYTES))\s+([0-9(< )]+)"
    found = re.findall(names, read("src", "base", "limits.h"))
    return {name: eval(value) for name, value in found}


def test_the_limits_that_are_told_of_are_those_of_the_reader():
    text = read("docs", "local.md")
    limits = limits_of_c()
    assert len(limits) == 14
    for name, value in limits.items():
        mib = name.endswith("_BYTES")
        words = "%d MiB" % (value >> 20) if mib else "{:,}".format(value)
        assert re.search(r"\b%s\b" % words, text), name
