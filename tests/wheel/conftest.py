"""What several tests of wheels need."""

import find
import pytest


@pytest.fixture
def musl():
    """The root of a Python for musl, as tests/interpreters/musl.sh makes it."""
    tail = "/usr/local/bin/python3"
    for python in find.pythons():
        if python.kind == "musl" and python.path.endswith(tail):
            return python.path[: -len(tail)]
    return pytest.skip("no Python for musl: see tests/interpreters/musl.sh")
