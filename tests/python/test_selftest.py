"""The self-test at start refuses a walk that lies, whatever the lie."""

import sys
import threading

import pytest
from googlecloudprofiler import _native, _selftest

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.implementation.name != "cpython",
    reason="made for CPython 3.11",
)


def test_selftest_accepts_the_real_walk():
    _selftest.run(_native.walk_self)


def altered(stack, at, **fields):
    """`stack` with some fields of the frame at index `at` changed."""
    frame = dict(zip(("name", "file", "line", "first"), stack[at]), **fields)
    return [*stack[:at], tuple(frame.values()), *stack[at + 1 :]]


LIES = [
    ("no stack", lambda stack: []),
    ("no leaf", lambda stack: stack[1:]),
    ("no root", lambda stack: stack[:-1]),
    ("a caller left out", lambda stack: stack[:1] + stack[2:]),
    ("twice", lambda stack: stack[:1] + stack),
    ("a name", lambda stack: altered(stack, 0, name="lie")),
    ("a file", lambda stack: altered(stack, 0, file="lie")),
    ("a line", lambda stack: altered(stack, 0, line=1)),
    ("a first line", lambda stack: altered(stack, 0, first=1)),
    ("a caller's line", lambda stack: altered(stack, 1, line=1)),
    ("a pseudo frame", lambda stack: [(-256, None, 0, 0), *stack[1:]]),
]


@pytest.mark.parametrize("lie", [f for _, f in LIES], ids=[n for n, _ in LIES])
@pytest.mark.parametrize("look", range(5))
def test_selftest_refuses_a_walk_that_lies_once(lie, look):
    """At whichever of its looks; in a shallow stack, so that the root counts."""
    calls = []
    raised = []

    def walk():
        stack = _native.walk_self()[1:]  # less this frame
        calls.append(stack)
        return lie(stack) if len(calls) == look + 1 else stack

    def run():
        try:
            _selftest.run(walk)
        except NotImplementedError as e:
            raised.append(str(e))

    in_thread(run)
    assert len(calls) == 5
    assert len(raised) == 1
    assert "its self-test found" in raised[0]
    assert sys.version.split()[0] in raised[0]


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_selftest_names_the_difference():
    def walk():
        stack = _native.walk_self()[1:]
        return altered(stack, 0, name="liar")

    with pytest.raises(NotImplementedError) as e:
        _selftest.run(walk)
    assert "found ('liar', " in str(e.value)
    assert "Python says ('_collect.<locals>.look', " in str(e.value)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_selftest_refuses_a_walk_that_fails(error):
    def walk():
        raise error("what is missing")

    with pytest.raises(NotImplementedError, match="what is missing") as e:
        _selftest.run(walk)
    own_words = str(e.value) == "what is missing"
    assert own_words == (error is NotImplementedError)
