"""The local service itself is in trouble"""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from program import clean_environment
from trial import LOST, PATIENCE_S, Agent

# What the service says of it.
FULL = "UpdateProfile: INTERNAL: "

SERVE = [sys.executable, "-m", "googlecloudprofiler", "serve"]
RHYTHM = ["--interval", "0.1", "--duration", "0.1", "--types", "WALL", "--web", "off"]


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp()
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def local_service(home, store=None):
    """`serve` as a process; what it says is in home/"said"."""
    argv = [*SERVE, *RHYTHM, "--address", address(home)]
    argv += ["--store", str(store or home / "store")]
    with open(str(home / "said"), "ab") as said:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=clean_environment(home),
            start_new_session=True,
        )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(PATIENCE_S)


def address(home):
    return "unix:%s" % (home / "socket")


def stored(home):
    return [p for p in (home / "store").rglob("*.pb.gz") if p.stat().st_size]


def limit_files(child, size):
    hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, hard))


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_it_is_killed_in_the_middle_of_its_work():
    """The local service is killed by SIGKILL again and again while it stores profiles.
    Finds each new one at its socket; no stored profile is lost or damaged.
    """
    with folder() as home, Agent(address(home)) as agent:
        # The last one takes in what the others had no time to write into the index.
        for _ in range(5):
            before = len(stored(home))
            with local_service(home) as child:
                wait_until(lambda n=before: len(stored(home)) >= n + 3, "profiles")
                child.send_signal(signal.SIGKILL)
                child.wait(PATIENCE_S)
            assert len(stored(home)) >= before + 3
        agent.assert_alive()
        agent.finish()
        assert agent.said("ERROR") == []
        show = [sys.executable, "-m", "googlecloudprofiler", "show", "--list"]
        done = subprocess.run(
            [*show, "--store", str(home / "store"), "--limit", "1000"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            universal_newlines=True,
            timeout=PATIENCE_S,
            check=True,
        )
        assert done.stdout.count("WALL") >= 12


def test_its_disk_is_full():
    """The disk of the local service is full, and there is room again later.
    Warns once that uploads are refused, with the service's words; goes on when it can.
    """
    with folder() as home, Agent(address(home)) as agent:
        with local_service(home) as child:
            wait_until(lambda: stored(home), "a profile")
            # A limit on the size of files stands in for a full disk.
            limit_files(child, 0)
            while not any(FULL in r.text for r in agent.records):
                failures = sum(r.text.startswith(LOST) for r in agent.records)
                agent.wait_said(LOST, failures + 1)
            limit_files(child, resource.RLIM_INFINITY)
            before = len(stored(home))
            wait_until(lambda: len(stored(home)) >= before + 2, "profiles")
            agent.assert_alive()
            agent.finish()
        assert len([t for t in agent.said("WARNING") if t.startswith(LOST)]) == 1


def test_its_home_cannot_be_written():
    """The store of the local service lies where nothing can be written.
    Finds nobody there; the service says in one line why it is not there.
    """
    with folder() as home, Agent(address(home)) as agent:
        with local_service(home, "/proc/none/store") as child:
            assert child.wait(PATIENCE_S) == 1
        said = (home / "said").read_text()
        assert "/proc/none" in said and len(said.splitlines()) == 1
        agent.wait_failures(4)
        agent.assert_alive()
        agent.finish()
        assert len(agent.said("WARNING")) == 1
