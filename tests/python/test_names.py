import sys
import threading

import pytest
from googlecloudprofiler import _names, _native

needs_ids = pytest.mark.skipif(
    sys.version_info < (3, 8), reason="threads know no id of the kernel's"
)


def listed(thread):
    """What is told of a thread while it runs."""
    done = threading.Event()
    thread.run = done.wait
    thread.start()
    try:
        return [name for tid, name in _names.of_threads() if tid == thread.native_id]
    finally:
        done.set()
        thread.join()


@needs_ids
def test_a_thread_has_the_name_that_the_program_gave_it():
    assert listed(threading.Thread(name="worker-ü")) == ["worker-ü".encode()]


@needs_ids
def test_a_name_that_is_no_utf8_and_a_long_one():
    assert listed(threading.Thread(name="a\udcffb")) == [b"a?b"]
    assert listed(threading.Thread(name="x" * 1000)) == [b"x" * 64]


@needs_ids
def test_nothing_of_the_program_runs_to_tell_a_name():
    class Odd(threading.Thread):
        @property
        def name(self):
            raise SystemExit

        @name.setter
        def name(self, value):
            pass

        _told = False

    assert listed(Odd(name="odd")) == [b"odd"]


@needs_ids
def test_a_thread_without_a_name_is_left_out():
    thread = threading.Thread()
    thread._name = None
    thread.__dict__.pop("_native_id", None)
    assert listed(thread) == []


def test_names_are_bounded():
    _native.name_threads([(1, b"x" * 1000)] * 10000)
    _native.name_threads([])
    with pytest.raises(TypeError):
        _native.name_threads([(1, "x", 2)])
    with pytest.raises(OverflowError):
        _native.name_threads([(1 << 40, b"x")])
