"""One CPU for the program and the sampler, and clocks of threads that seldom go on:
whose CPU time it was is told all the same."""

import pytest
from place import ask, check_right, finish, profiles, program_in, time_of
from test_hidden_files import NO_PROC, root

# Six, three and one parts of rounds that have no rhythm, by count: the program's own
# clock may be coarse, too.
SHARES = """
import random

def count(n):
    for _ in range(int(n)):
        sum(range(100))

def sixty(n):
    count(6 * n)

def thirty(n):
    count(3 * n)

def ten(n):
    count(n)

def spin():
    while True:
        n = random.uniform(1000, 5000)
        sixty(n)
        thirty(n)
        ten(n)
"""
TRUTH = {"sixty": 0.6, "thirty": 0.3, "ten": 0.1}

# Where a thread of three on a CPU asks for its time, the scheduler does what it owes
# the others, which is what the sampler waits for if it did not get the CPU in time.
ASKING = """
import hashlib, time, zlib
block = bytes(range(256)) * 4096

def deflate():
    while True:
        zlib.compress(block)

def digest():
    hashlib.sha256(block).digest()

def ask_the_time():
    time.thread_time()

def spin():
    for _ in range(2):
        threading.Thread(target=deflate, daemon=True).start()
    while True:
        ask_the_time()
        digest()
"""

# Fewer ticks would leave more to chance.
MORE_TICKS = """
import functools
from googlecloudprofiler import _native
_native.start = functools.partial(_native.start, budget_ppm=0)
options["period_ms"] = 4
"""
ONE_CPU = """
for tid in os.listdir("/proc/self/task"):
    os.sched_setaffinity(int(tid), [min(os.sched_getaffinity(0))])
"""


def check_shares(service, launch, before, least_error, **environ):
    ask(service, 2.5, 0.5)
    program = launch(
        program_in(MORE_TICKS + before, work=SHARES), service=service, **environ
    )
    cpu, wall = profiles(service)
    check_right(cpu)
    check_right(wall)
    spun = time_of(cpu, "spin")
    found = {name: time_of(cpu, name) / spun for name in TRUTH}
    assert sum(abs(found[n] - TRUTH[n]) for n in TRUTH) / 2 < least_error, found
    return finish(program), cpu, wall


def test_on_one_cpu_shares_are_right_within_five_points(service, launch):
    said, _, _ = check_shares(service, launch, ONE_CPU, 0.05)
    assert said == []


def test_on_one_cpu_what_wakes_the_scheduler_has_no_more_than_its_share(
    service, launch
):
    ask(service, 2.5, 0.5)
    program = launch(program_in(MORE_TICKS + ONE_CPU, work=ASKING), service=service)
    cpu, _ = profiles(service)
    asked = time_of(cpu, "ask_the_time") / time_of(cpu, "spin")
    assert asked < 0.08
    assert finish(program) == []


@root
def test_on_one_cpu_without_proc_shares_are_right_within_five_points(service, launch):
    """Nobody tells that a thread is runnable whose place the sampler takes."""
    check_shares(service, launch, ONE_CPU + NO_PROC, 0.05)


@pytest.mark.parametrize("step_ms", [1, 10])
def test_coarse_clocks_give_rough_shares_and_one_line_says_so(
    service, launch, preloaded, step_ms
):
    said, cpu, wall = check_shares(
        service, launch, "", 0.1,
        LD_PRELOAD=preloaded, CPROF_TEST_STEP_NS=str(step_ms * 10**6),
    )
    coarse = "the CPU clocks of threads are coarse: shares of CPU time are rough"
    assert said == ["INFO Profiles say less here: " + coarse]
    for read in (cpu, wall):
        assert "sampler: " + coarse in read.comments()
