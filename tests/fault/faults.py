"""How a fault is written down: its cases, and how long it takes.

The docstring of each test has two lines: what happens, and what the agent does.
scripts/make-faults writes docs/faults.md from them; `{}` stands for a case's words.
"""

import grpc
import pytest


def each(names, *cases):
    """One test for each case: (id, words for the table, *values of `names`)."""

    def mark(function):
        function.cases = [(case[0], case[1]) for case in cases]
        values = [pytest.param(*case[2:], id=case[0]) for case in cases]
        return pytest.mark.parametrize(names, values)(function)

    return mark


def codes(*names):
    """A case of each() for each of these of gRPC's status codes."""
    return [(name.lower(), name, grpc.StatusCode[name]) for name in names]


def takes(seconds):
    """For a test that has to wait for one of the agent's own limits."""

    def mark(function):
        function.takes_s = seconds
        return function

    return mark
