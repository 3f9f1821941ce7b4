"""The truth: profiles of programs of which the truth is known."""

import threading

import pytest
from fake_service import after, assign
from profiles import Read, line_of

SECONDS = 5
TRUTH = {"sixty": 0.6, "thirty": 0.3, "ten": 0.1}

BURNERS = """
import functools
import sys
import threading
import time
import googlecloudprofiler

def sixty(end):
    n = 1
    while time.thread_time() < end:
        for _ in range(200):
            n = n * 31 % 1000003

def thirty(end):
    n = 1
    while time.thread_time() < end:
        for _ in range(200):
            n = n * 31 % 1000003

def ten(end):
    n = 1
    while time.thread_time() < end:
        for _ in range(200):
            n = n * 31 % 1000003

WORK = [(sixty, 0.024), (thirty, 0.012), (ten, 0.004)]
go_on = True
"""

ONE_THREAD = (
    BURNERS
    + """
def work():
    while go_on:
        for function, seconds in WORK:
            function(time.thread_time() + seconds)

threads = [threading.Thread(target=work)]
"""
)

# Together they take rounds, so that each burns its share whatever the GIL does.
THREE_THREADS = (
    BURNERS
    + """
barrier = threading.Barrier(3)

def work(function, seconds):
    try:
        while go_on:
            function(time.thread_time() + seconds)
            barrier.wait()
    except threading.BrokenBarrierError:
        pass

threads = [threading.Thread(target=work, args=w) for w in WORK]
"""
)

RUN = """
for t in threads:
    t.start()
from googlecloudprofiler import _native
_native.start = functools.partial(_native.start, budget_ppm=0)
# Of 500 ticks, chance alone is five points off once in a hundred times.
googlecloudprofiler.start(service="web", period_ms=4)
sys.stdin.readline()
go_on = False
if "barrier" in globals():
    barrier.abort()
for t in threads:
    t.join()
"""


def share_error(read):
    """Half the sum of all differences, of what the program itself spent."""
    ours = read.share_with(lambda f: f[0] == "[profiler]")
    found = {
        name: read.share_with(lambda f, n=name: f[0] == n) / (1 - ours)
        for name in TRUTH
    }
    other = 1 - sum(found.values())
    return (sum(abs(found[n] - TRUTH[n]) for n in TRUTH) + abs(other)) / 2, found


@pytest.mark.parametrize(
    "text", [ONE_THREAD, THREE_THREADS], ids=["one thread", "three threads"]
)
def test_cpu_shares_are_right_within_five_points(service, launch, text):
    service.on_create.append(assign("CPU", SECONDS))
    program = launch(text + RUN, service=service)
    read = Read(service.wait_updated(1)[0].request.profile.profile_bytes)
    program.say()
    assert program.end() == 0, program.stderr()
    error, found = share_error(read)
    assert error <= 0.05, found


RELEASED = """
import functools
import hashlib
import sys
import threading
import time
import zlib
import googlecloudprofiler

BLOCK = bytes(range(256)) * 4096
go_on = True
spent = {}

def digest():
    hashlib.sha256(BLOCK).digest()

def deflate():
    zlib.compress(BLOCK, 6)

def python():
    n = 1
    for _ in range(50000):
        n = n * 31 % 1000003

def work(function):
    inside = 0
    begin = time.thread_time()
    while go_on:
        before = time.thread_time()
        function()
        inside += time.thread_time() - before
    spent[function.__name__] = inside
    spent["work"] = spent.get("work", 0) + time.thread_time() - begin - inside

threads = [threading.Thread(target=work, args=(f,)) for f in (digest, deflate, python)]
"""


TELL = """
print(*("%s=%f" % item for item in spent.items()))
"""


def test_time_in_c_without_the_gil_is_not_charged_where_it_is_held(service, launch):
    """A thread whose CPU the sampler took counted only where it held the GIL."""
    service.on_create.append(assign("CPU", SECONDS))
    program = launch(RELEASED + RUN + TELL, service=service)
    read = Read(service.wait_updated(1)[0].request.profile.profile_bytes)
    program.say()
    spent = dict(item.split("=") for item in program.line().split())
    assert program.end() == 0
    total = sum(map(float, spent.values()))
    found = {n: read.share_with(lambda f, n=n: f[0] == n) for n in spent}
    found["work"] -= sum(found[n] for n in spent if n != "work")
    error = sum(abs(found[n] - float(spent[n]) / total) for n in spent) / 2
    assert error <= 0.1, (found, spent)


BLOCKERS = {
    "lock": "lock.acquire(timeout=60)",
    "join": "threading.Thread(target=time.sleep, args=(60,), daemon=True)"
    ".start() or threading.enumerate()[-1].join(60)",
    "recv": "pair[0].recv(1)",
    "sleep": "time.sleep(60)",
}

BLOCKED = """
import os
import socket
import threading
import time
import googlecloudprofiler

lock = threading.Lock()
lock.acquire()
pair = socket.socketpair()

def spin():
    while True:
        sum(range(1000))

threading.Thread(target=spin, daemon=True).start()
googlecloudprofiler.start(service="web")
print(os.getpid(), flush=True)
%s  # blocks
"""


@pytest.mark.parametrize("blocker", sorted(BLOCKERS))
def test_a_blocked_main_thread_stands_at_its_line(service, launch, blocker):
    text = BLOCKED % BLOCKERS[blocker]
    blocks = threading.Event()
    service.on_create.append(after(blocks, assign("WALL", 1.5)))
    program = launch(text, service=service)
    pid = int(program.line())
    program.wait_asleep()
    blocks.set()
    read = Read(service.wait_updated(1)[0].request.profile.profile_bytes)
    main = [
        (frames, values[1])
        for frames, values, labels in read.stacks
        if labels.get("thread_id") == pid
    ]
    line = line_of(text, "# blocks")
    right = sum(
        value
        for frames, value in main
        if any(f[1] == program.path and f[2] == line for f in frames)
    )
    total = sum(value for _, value in main)
    assert total == pytest.approx(read.raw.duration_nanos, rel=0.05)
    assert right >= 0.95 * total
