"""Runs the faults side by side: a fault is a program that mostly waits.

A test of this folder takes what its cases name and no fixture, makes all that it
needs by itself, and says by `takes_s` when it is a slow one: those begin first.
"""

import os
from concurrent import futures

HERE = os.path.dirname(os.path.abspath(__file__))
# Each is a program of its own, which mostly sleeps.
AT_ONCE = 16


def runs_ahead(item):
    return os.path.dirname(str(item.path)) == HERE and not getattr(
        item.function, "alone", False
    )


class Runner:
    """All tests of the folder that were selected, each begun once."""

    def __init__(self):
        self.futures = {}
        self.pool = None

    def begin(self, items):
        ours = [i for i in items if runs_ahead(i)]
        ours.sort(key=lambda i: -getattr(i.function, "takes_s", 0))
        self.pool = futures.ThreadPoolExecutor(AT_ONCE)
        for item in ours:
            callspec = getattr(item, "callspec", None)
            self.futures[item] = self.pool.submit(
                item.function, **(callspec.params if callspec else {})
            )

    def outcome(self, item):
        if not self.futures:
            self.begin(item.session.items)
        return self.futures[item].result()

    def end(self):
        for future in self.futures.values():
            future.cancel()
        if self.pool:
            self.pool.shutdown()


_runner = Runner()


def pytest_pyfunc_call(pyfuncitem):
    if not runs_ahead(pyfuncitem):
        return None
    _runner.outcome(pyfuncitem)
    return True


def pytest_sessionfinish():
    _runner.end()
