"""The agent's descriptors are not the program's: whatever it does with its own, the
agent goes on, and touches none of them."""

import threading

import pytest
from fake_service import FakeService, after, assign

CLOSE_ALL = {
    "at once": "os.closerange(3, 4096)",
    "while it polls": "sys.stdin.readline(); os.closerange(3, 4096)",
    "and opens its own": """
sys.stdin.readline()
os.closerange(3, 4096)
mine = [os.open("/dev/null", os.O_WRONLY) for _ in range(64)]
import fcntl
flags = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in mine]
""",
}


@pytest.mark.parametrize("how", list(CLOSE_ALL))
def test_a_program_that_closes_all_descriptors_is_profiled_on(launch, how):
    body = """
import os
import sys
import time
import googlecloudprofiler

googlecloudprofiler.start(service="web", verbose=1)
%s
print("closed", flush=True)
time.sleep(600)
""" % CLOSE_ALL[how]
    gate = threading.Event()
    with FakeService() as service:
        service.create_default = after(gate, assign("WALL", 0.1))
        program = launch(body, service=service)
        if how != "at once":
            service.wait_created(1)
            program.say()
        assert program.line() == "closed"
        gate.set()
        service.wait_updated(2)
        assert program.stderr() == ""


def test_a_program_without_a_free_descriptor_is_profiled(launch):
    """The core that we have ends the process where it finds none."""
    body = """
import os
import resource
import sys
import googlecloudprofiler

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
googlecloudprofiler.start(service="web", verbose=1)
try:
    while True:
        os.dup(0)
except OSError:
    print("full", flush=True)
sys.stdin.readline()
"""
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(body, service=service)
        assert program.line() == "full"
        service.wait_updated(2)
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""


def test_a_program_with_few_free_descriptors_may_start(launch):
    body = """
import os
import resource
import sys
import googlecloudprofiler._native

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
for fd in taken[-4:]:
    os.close(fd)
googlecloudprofiler.start(service="web", verbose=1)
sys.stdin.readline()
"""
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(body, service=service)
        service.wait_updated(2)
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""


STARTERS = """
import os
import pty
import subprocess
import sys
import googlecloudprofiler

LIST = ["/bin/ls", "/proc/self/fd"]

def output_of(start):
    "What LIST says that start(fd) has started, with fd for its output."
    r, w = os.pipe()
    start(w)
    os.close(w)
    with os.fdopen(r) as file:
        return file.read().split()

def by_fork(fd):
    pid = os.fork()
    if not pid:
        os.dup2(fd, 1)
        os.execv(LIST[0], LIST)
    os.waitpid(pid, 0)

def by_spawn(fd):
    actions = [(os.POSIX_SPAWN_DUP2, fd, 1)]
    os.waitpid(os.posix_spawn(LIST[0], LIST, {}, file_actions=actions), 0)

def by_system(fd):
    os.set_inheritable(fd, True)
    os.system("%s >&%d" % (" ".join(LIST), fd))

def by_terminal(fd):
    pid, terminal = pty.fork()
    if not pid:
        os.dup2(fd, 1)
        os.execv(LIST[0], LIST)
    os.waitpid(pid, 0)
    os.close(terminal)

def by_subprocess(**more):
    return lambda fd: subprocess.run(LIST, stdout=fd, check=True, **more)

STARTERS = {
    "fork": by_fork,
    "posix_spawn": by_spawn,
    "os.system": by_system,
    "pty.fork": by_terminal,
    "subprocess": by_subprocess(),
    "all open": by_subprocess(close_fds=False),
    "by fork": by_subprocess(close_fds=False, preexec_fn=os.getpid),
    "session": by_subprocess(close_fds=False, start_new_session=True),
    "directory": by_subprocess(close_fds=False, cwd="/"),
}
starter = STARTERS[sys.argv[1]]
before = output_of(starter)
googlecloudprofiler.start(service="web", verbose=1)
sys.stdin.readline()
for _ in range(20):
    assert output_of(starter) == before
print(*before, flush=True)
"""


@pytest.mark.parametrize(
    "how",
    [
        *("fork", "posix_spawn", "os.system", "pty.fork", "subprocess", "all open"),
        *("by fork", "session", "directory"),
    ],
)
def test_what_the_program_starts_has_none_of_them(launch, how):
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(STARTERS, how, service=service)
        service.wait_updated(1)
        program.say()
        assert "1" in program.line().split()
        assert program.end() == 0
        assert program.stderr() == ""
