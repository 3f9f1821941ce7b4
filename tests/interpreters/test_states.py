"""Wall time has the label of what the thread did, or waited for; on every Python."""

import pytest

STATES = """
import socket
import subprocess

lock = threading.Lock()
lock.acquire()
a, b = socket.socketpair()
nap = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

def wait_for_lock():
    lock.acquire()

def wait_for_socket():
    a.recv(1)

def wait_in_sleep():
    while not stop:
        time.sleep(0.5)

def wait_for_child():
    nap.wait()

def compute():
    while not stop:
        pass

def compute_too():
    while not stop:
        pass

functions = (wait_for_lock, wait_for_socket, wait_in_sleep, wait_for_child, compute,
             compute_too)
threads = [threading.Thread(target=f) for f in functions]
[t.start() for t in threads]
time.sleep(0.2)
samples = sample("WALL", 1.5, 100)
stop = True
lock.release()
b.send(b".")
nap.communicate()
[t.join() for t in threads]
seen = {}
for frames, _, value, labels in samples:
    for f in functions:
        if f.__name__ in names(frames):
            states = seen.setdefault(f.__name__, {})
            state = labels.get("state")
            states[state] = states.get(state, 0) + value
say({f: {s: v / sum(states.values()) for s, v in states.items()}
     for f, states in seen.items()})
"""

# For the rest of the time a thread may be waking up.
MOST = 0.8


def test_wall_time_tells_what_a_thread_waits_for(show):
    seen = show(STATES)
    assert seen["wait_for_lock"]["lock"] > MOST, seen
    assert seen["wait_for_socket"]["io"] > MOST, seen
    assert seen["wait_in_sleep"]["sleep"] > MOST, seen
    assert seen["wait_for_child"]["other"] > MOST, seen


def test_one_of_two_has_the_gil_and_the_other_waits_for_it(show, python):
    """3.6 keeps it where nobody tells; musl waits for it as for any lock."""
    seen = show(STATES)
    wait = "lock" if python.version < (3, 7) or python.kind == "musl" else "gil-wait"
    if python.kind == "free_threaded":
        pytest.skip("there is none")
    for function in ("compute", "compute_too"):
        share = seen[function]
        assert share[wait] > 0.1, seen
        assert share["running"] + share[wait] > MOST, seen
