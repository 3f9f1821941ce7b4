"""Wheels are compiled for other C libraries by whichever Python builds them."""

import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def pyconfig(monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(ROOT, "scripts"))
    import pyconfig

    yield pyconfig
    del sys.modules["pyconfig"]


@pytest.mark.parametrize(
    "there, want",
    [
        (["aarch64-linux-gnu", "x86_64-linux-gnu"], "x86_64-linux-gnu"),
        (["aarch64-linux-gnu"], "aarch64-linux-gnu"),  # stands in
        ([], None),  # pyconfig.h is next to Python.h
    ],
)
def test_pyconfig_of_debians_own_python_is_found(pyconfig, tmp_path, there, want):
    for machine in there:
        folder = tmp_path / "include" / machine / "python3.11"
        folder.mkdir(parents=True)
        (folder / "pyconfig.h").write_text(machine)
    into = tmp_path / "into"
    into.mkdir()
    include = tmp_path / "include" / "python3.11"
    pyconfig.spread(str(include), "x86_64", str(into))
    found = into / "x86_64-linux-gnu" / "python3.11" / "pyconfig.h"
    assert (found.read_text() if found.exists() else None) == want
