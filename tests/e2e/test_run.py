"""`run`: a program under the profiler, at a terminal or not, to its end and beyond."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse

import pytest
from builds import bundled
from fake_service import PATIENCE_S, eventually
from googlecloudprofiler import _native, _retention, _store

RUN = """
import sys
from googlecloudprofiler import _cli
sys.exit(_cli.main(["run", *sys.argv[1:]]))
"""

SPIN = """
import sys

def spin():
    while True:
        pass

print("ready", flush=True)
{handle}
"""
ENDS_BY_ITSELF = "try:\n    spin()\nexcept KeyboardInterrupt:\n    sys.exit(5)"


@pytest.fixture
def run(launch, tmp_path):
    """run(text, *options, **environ): a Program that runs this one under `run`, with a
    store of its own."""

    def start(text, *options, **environ):
        (tmp_path / "work.py").write_text(text)
        store = str(tmp_path / "store")
        return launch(
            *(RUN, "--store", store, *map(str, options), str(tmp_path / "work.py")),
            **environ
        )

    return start


@pytest.fixture
def stored(tmp_path):
    """stored(): rows and decoded profiles of the store, the newest first."""

    def read():
        with _store.Store.open_existing(str(tmp_path / "store")) as store:
            return [(r, _native.decode_profile(store.read(r))) for r in store.find()]

    return read


# Before 3.8 Python did not end by the signal.
@pytest.mark.parametrize(
    "handle, statuses", [(ENDS_BY_ITSELF, [5]), ("spin()", [-signal.SIGINT, 1])]
)
def test_ctrl_c_keeps_what_has_been_collected(run, stored, handle, statuses):
    program = run(SPIN.format(handle=handle), "--duration", 300)
    assert program.line() == "ready"
    program.wait_collecting()
    program.signal(signal.SIGINT)
    assert program.end() in statuses
    ((row, profile),) = stored()
    assert row.type == "CPU"
    assert 0 < profile["duration_ns"] < 300 * 10**9
    # Both are of what was measured, not of what was asked for.
    assert row.time_unix_ns == profile["time_ns"]
    text = program.stderr()
    assert "CPU profile of 'work'" in text and re.search(r"%  spin +\S*work.py:4", text)
    assert ("KeyboardInterrupt" in text) == (5 not in statuses)


def test_a_program_that_ends_within_its_first_profile_has_one(run, stored):
    text = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass"
    program = run(text, "--duration", 300)
    assert program.end() == 0
    assert "CPU profile of 'work'" in program.stderr()
    assert len(stored()) == 1


SECONDS = """
import sys, time

def spin():
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        pass

spin()
"""


def spin_for(seconds):
    return SECONDS.replace("sys.argv[1]", repr(seconds))


def test_the_tables_are_of_all_of_the_run(run, stored):
    program = run(spin_for(3.0), "--duration", 0.3, "--interval", 0.3)
    assert program.end() == 0
    profiles = [profile for row, profile in stored() if row.type == "CPU"]
    assert len(profiles) > 1
    text = program.stderr()
    title = "CPU profile of 'work', the sum of %d, of 1 process\n" % len(profiles)
    assert text.count(title) == 1
    # And so is the page whose address is told.
    address = re.search(r"As a page: file://(.*)\n", text).group(1)
    page = pathlib.Path(urllib.parse.unquote(address)).read_text(encoding="utf-8")
    for row, _ in stored():
        assert row.file in page


@pytest.mark.parametrize("rate", [1, 40, 1000])
def test_the_rate_is_that_of_the_samples(run, stored, rate):
    program = run(spin_for(1.5), "--rate", rate, "--duration", 0.5)
    assert program.end() == 0
    periods = {profile["period"] for _, profile in stored()}
    assert periods == {10**9 // rate}


def test_a_browser_shows_all_of_the_run(run, stored, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > "%s/opened"\n' % tmp_path)
    browser.chmod(0o755)
    program = run(
        *(spin_for(2.0), "--open", "--duration", 0.3), BROWSER="%s %%s" % browser
    )
    assert program.end() == 0
    page = tmp_path / "store" / "work.html"
    eventually((tmp_path / "opened").exists, "the browser")
    assert (tmp_path / "opened").read_text() == "file://%s\n" % page
    text = page.read_text(encoding="utf-8")
    rows = stored()
    assert len(rows) > 1
    for row, _ in rows:
        assert row.file in text


def test_without_a_browser_the_page_is_told_of(run, tmp_path):
    program = run(spin_for(0.5), "--open", PATH="/nowhere", BROWSER="none")
    assert program.end() == 0
    page = tmp_path / "store" / "work.html"
    assert page.exists()
    assert "As a page: file://%s\n" % page in program.stderr()
    assert "there is no browser here" in program.stderr()


def test_limits_that_a_service_has_set_hold_for_a_run(run, stored, tmp_path):
    limits = _retention.Limits(1, 10**9, 86400)
    _store.Store(str(tmp_path / "store"), _native.decode_profile, limits).close()
    assert run(spin_for(2.0), "--duration", 0.3).end() == 0
    assert len(stored()) == 1


class Terminal:
    """A pseudo-terminal; what is written to it."""

    def __init__(self):
        self._ours, self.theirs = os.openpty()
        self._read = b""

    def read_until(self, words):
        while words not in self._read:
            self._read += os.read(self._ours, 4096)
        return self._read

    def close(self):
        os.close(self._ours)


def test_a_terminal_shows_how_far_it_is(tmp_path):
    """And, once that line has gone, the tables."""
    (tmp_path / "work.py").write_text(spin_for(2.0))
    terminal = Terminal()
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "googlecloudprofiler", "run", "--duration", "0.3"),
            *("--store", str(tmp_path / "store"), str(tmp_path / "work.py")),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal.theirs,
    )
    os.close(terminal.theirs)
    terminal.read_until(b"[profiler: 0 profiles, 0 samples] ")
    terminal.read_until(b"[profiler: 1 profile, ")
    text = terminal.read_until(b"As a page:")
    assert program.wait(PATIENCE_S) == 0
    shown = re.findall(rb"\r\x1b\[K\[profiler: (\d+) profiles?, (\d+) samples\] ", text)
    assert [int(nr) for nr, _ in shown] == list(range(len(shown)))
    samples = [int(nr) for _, nr in shown]
    assert samples == sorted(samples) and samples[-1] > 0
    _, _, after = text.rpartition(b"samples] ")
    assert after.startswith(b"\r\x1b[K\r\n")
    assert b"CPU profile of 'work'" in after
    terminal.close()


WORKERS = """
import multiprocessing, time

def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(12,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(*[worker.exitcode for worker in workers], flush=True)
"""


@bundled
def test_each_worker_appears_by_its_process(run, stored):
    program = run(WORKERS, "--duration", 0.5, "--interval", 0.5)
    assert program.line() == "0 0"
    assert program.end() == 0
    processes = {row.labels.get("process") for row, _ in stored()}
    assert len(processes) == 3
    assert re.search(r"the sum of \d+, of [23] processes", program.stderr())
