"""Ends at moments that nobody has chosen, by the hundred: the status is the program's
own, nothing is said, nobody hangs."""

import pytest
from builds import bundled
from fake_service import FakeService, assign
from secure import Authority, SecureService

# A test forks: programs start slowly. `end(i)` ends the child, with the status that it
# returns beforehand.
PROGRAM = """
import atexit
import os
import random
import signal
import sys
import threading
import time

def spin():
    while True:
        sum(range(100))

def by_exit(i):
    sys.exit(i)

def by_os_exit(i):
    os._exit(i)

def by_signal(i):
    os.kill(os.getpid(), signal.SIGKILL if i % 2 else signal.SIGTERM)
    time.sleep(60)

def by_exception(i):
    sys.excepthook = lambda *a: None
    raise RuntimeError

def by_atexit(i):
    "Callbacks that raise, that take their time and that start threads."
    def fail():
        sys.stderr = open(os.devnull, "w")
        raise RuntimeError
    for callback in (fail, lambda: time.sleep(0.05), spin_a_daemon):
        atexit.register(callback)
    sys.exit(i)

def spin_a_daemon():
    try:
        threading.Thread(target=spin, daemon=True).start()
    except RuntimeError:
        pass  # from 3.12 on there are no threads that late

def by_daemons(i):
    for _ in range(3):
        spin_a_daemon()
    sys.exit(i)

WAYS = [
    (by_exit, lambda i: i),
    (by_os_exit, lambda i: i),
    (by_signal, lambda i: -(9 if i % 2 else 15)),
    (by_exception, lambda i: 1),
    (by_atexit, lambda i: i),
    (by_daemons, lambda i: i),
]

def storm(nr, at_once, child):
    "Fork `nr` children that call child(i) and end; how many ended otherwise."
    wrong = []
    want = {}
    for i in range(nr):
        end, status = WAYS[i % len(WAYS)]
        pid = os.fork()
        if not pid:
            random.seed(i)
            child(i)
            end(i % 100)
            os._exit(99)
        want[pid] = status(i % 100)
        while len(want) >= at_once or (i == nr - 1 and want):
            pid, raw = os.wait()
            status = -os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)
            if want.pop(pid) != status:
                wrong.append((end.__name__, status))
    print(wrong, flush=True)

"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def test_four_hundred_ends_in_a_storm_of_handshakes(launch, authority, key_file):
    text = PROGRAM + """
import googlecloudprofiler

def child(i):
    googlecloudprofiler.start(service="web", verbose=0)
    time.sleep(random.uniform(0, 0.04))

storm(400, 4, child)
"""
    with SecureService(authority) as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(
            text,
            service=service,
            SSL_CERT_FILE=authority.ca,
            GOOGLE_APPLICATION_CREDENTIALS=key_file,
            NO_GCE_CHECK="true",
        )
        assert program.line() == "[]"
        assert program.end() == 0
        assert program.stderr() == ""
        # It was one: many got to the service, and many did not.
        assert len(service.created) > 0


@pytest.mark.parametrize("state", ["polling", "collecting"])
def test_forked_children_may_end_as_their_agents_begin(launch, state):
    text = PROGRAM + """
import googlecloudprofiler

def child(i):
    time.sleep(random.uniform(0.9, 2.3))

googlecloudprofiler.start(service="web", verbose=0)
sys.stdin.readline()
storm(120, 24, child)
"""
    with FakeService() as service:
        if state == "collecting":
            service.create_default = assign("WALL", 0.3)
        program = launch(text, service=service)
        service.wait_created(1)
        program.say()
        assert program.line() == "[]"
        assert program.end() == 0
        assert program.stderr() == ""


@bundled
def test_a_program_may_end_while_its_threads_fork(launch):
    text = PROGRAM + """
import googlecloudprofiler

def fork():
    while True:
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

def child(i):
    googlecloudprofiler.start(service="web", verbose=0)
    for _ in range(3):
        threading.Thread(target=fork, daemon=True).start()
    time.sleep(random.uniform(0.05, 0.3))

storm(60, 2, child)
"""
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(text, service=service)
        assert program.line() == "[]"
        assert program.end() == 0
        assert program.stderr() == ""
