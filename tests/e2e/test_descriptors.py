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
