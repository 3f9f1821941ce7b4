"""What native threads leave to the main thread, where threads are greenlets."""

import sys
import threading
import time
import types

import pytest
from googlecloudprofiler import _greenlets, _native


@pytest.fixture(params=["gevent", "eventlet"])
def begun(request, monkeypatch):
    """What greenlets there are in a program that seems to be patched: callables."""
    begun = []
    patched = types.ModuleType("patched")
    patched.is_module_patched = lambda name: name == "threading"
    patched.is_monkey_patched = lambda name: name == "thread"
    package = types.ModuleType(request.param)
    package.spawn = package.spawn_n = lambda f, *args: begun.append(lambda: f(*args))
    name = {"gevent": "gevent.monkey", "eventlet": "eventlet.patcher"}[request.param]
    monkeypatch.setitem(sys.modules, request.param, package)
    monkeypatch.setitem(sys.modules, name, patched)
    return begun


def from_a_thread(function):
    """Call function() on a thread; the main thread has done what it was given since."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
    for _ in range(1000):
        time.sleep(0)


def test_without_greenlets_it_is_done_at_once():
    done = []
    from_a_thread(
        lambda: _greenlets.run(_native, lambda: done.append(threading.get_ident()))
    )
    assert len(done) == 1
    assert done != [threading.get_ident()]


def test_a_greenlet_of_the_main_thread_does_it(begun):
    done = []
    from_a_thread(
        lambda: _greenlets.run(_native, lambda: done.append(threading.get_ident()))
    )
    assert done == []
    assert len(begun) == 1
    begun.pop()()
    assert done == [threading.get_ident()]


def test_few_wait_where_greenlets_never_run(begun):
    done = []
    for i in range(100):
        from_a_thread(lambda i=i: _greenlets.run(_native, lambda: done.append(i)))
    assert len(begun) == 8
    for greenlet in begun:
        greenlet()
    assert done == list(range(8))
    from_a_thread(lambda: _greenlets.run(_native, lambda: done.append("again")))
    begun[-1]()
    assert done[-1] == "again"


def test_what_is_pending_may_fail_and_may_be_interrupted():
    """An interrupt that comes while the main thread does it is not lost."""

    def fail():
        raise ValueError("a failure")

    def interrupt():
        raise KeyboardInterrupt

    from_a_thread(lambda: _native.call_in_main(fail))
    with pytest.raises(KeyboardInterrupt):
        from_a_thread(lambda: _native.call_in_main(interrupt))
