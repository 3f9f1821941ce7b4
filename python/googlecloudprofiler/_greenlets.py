"""Programs whose threads are greenlets, as gevent and eventlet make them by patching.

A patched lock is one native thread's: who waits for it elsewhere waits for good, or is
told that it cannot switch there. So what our native threads have to do in Python, where
a log handler or a token's credentials may take such locks, is a greenlet's there.
"""

import sys

# Greenlets that were begun and have not run: a program may be patched and never switch.
_MAX_WAITING = 8
_waiting = 0


def run(native, function):
    """Call function() here, or where this program's threads are greenlets in one of its
    main thread's: soon, but not before that thread runs Python and switches."""
    spawn = _find_spawn()
    if spawn is None:
        function()
    elif _waiting < _MAX_WAITING:
        native.call_in_main(lambda: _begin(spawn, function))


def are_threads():
    """Whether this program's threads are greenlets."""
    return _find_spawn() is not None


def _find_spawn():
    """What begins a greenlet, or None where threads are threads. What is not imported
    has not patched anything."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent and gevent.is_module_patched("threading"):
        return sys.modules["gevent"].spawn
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet and eventlet.is_monkey_patched("thread"):
        return sys.modules["eventlet"].spawn_n
    return None


def _begin(spawn, function):
    global _waiting
    _waiting += 1
    spawn(_run, function)


def _run(function):
    global _waiting
    _waiting -= 1
    function()
