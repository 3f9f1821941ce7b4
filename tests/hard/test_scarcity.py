"""Descriptors, memory or threads run out: start() raises nothing, an ERROR says what is
missing, and the program goes on."""

import time

import pytest
from fake_service import PATIENCE_S
from place import ask, check_right, finish, profiles, program_in

REFUSAL = "ERROR Cannot start profiling: "
LOST = "WARNING Failed to "

NO_DESCRIPTORS = """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
"""
FREE_THEM = """
for fd in taken:
    os.close(fd)
"""
AGAIN = """
googlecloudprofiler.start(service="web", verbose=2)
"""


def test_without_a_descriptor_start_says_so_and_may_be_called_again(service, launch):
    ask(service)
    program = launch(program_in(NO_DESCRIPTORS, FREE_THEM + AGAIN), service=service)
    refused = program.line()
    assert refused.startswith(REFUSAL) and "Too many open files" in refused
    for read in profiles(service):
        check_right(read)
    assert finish(program) == []


FEW = """
import googlecloudprofiler._native
""" + NO_DESCRIPTORS + """
for _ in range({free}):
    os.close(taken.pop())
"""


@pytest.mark.parametrize("free", [0, 1, 2, 3, 5])
def test_with_few_descriptors_it_is_profiled_or_told(service, launch, free):
    text = program_in(FEW.format(free=free), "wait()" + FREE_THEM)
    check_profiled_or_told(service, launch, text, lines_read=2)


def check_profiled_or_told(service, launch, text, lines_read=1, **environ):
    ask(service, 0.2, 0.2)
    program = launch(text, service=service, **environ)
    told = wait_told(program, service)
    if told:
        assert told.startswith((REFUSAL, LOST)), told
        assert not service.updated
    else:
        for read in profiles(service):
            check_right(read)
    for _ in range(lines_read - 1):
        program.say()
    assert finish(program) == []


def wait_told(program, service):
    """What it says is missing; None once there is a profile."""
    end = time.monotonic() + PATIENCE_S
    while not service.updated and time.monotonic() < end:
        try:
            line = program.line(0.1)
        except AssertionError:
            continue
        if "agent version" not in line:
            return line
    assert service.updated, program.stderr()
    return None


# More than the program has, MB.
LITTLE = """
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {more} * 2**20,) * 2)
"""


@pytest.mark.parametrize("more", [1, 8, 64, 256, 1024])
def test_with_little_memory_it_is_profiled_or_told(service, launch, more):
    check_profiled_or_told(service, launch, program_in(LITTLE.format(more=more)))


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 10, 11, 12, 13])
def test_with_few_threads_it_is_profiled_or_told(
    service, launch, preloaded, threads
):
    check_profiled_or_told(
        service, launch, program_in(), LD_PRELOAD=preloaded,
        CPROF_TEST_THREADS=str(threads),
    )
