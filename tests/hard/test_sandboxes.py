"""System calls that a sandbox refuses: profiles are right without them, or one line
says why there are none."""

import pytest
from place import ask, check_right, finish, profiles, program_in

# What only the profiler calls, or the core of gRPC, in a program of no more than this.
# Each alone, and all at once that one can do without.
REFUSED = {
    "process_vm_writev": ("EPERM", ["process_vm_writev"]),
    "process_vm_writev, unknown": ("ENOSYS", ["process_vm_writev"]),
    "memfd_create": ("EPERM", ["memfd_create"]),
    "pwritev": ("ENOSYS", ["pwritev"]),
    "clock_nanosleep": ("EPERM", ["clock_nanosleep"]),
    "a table of descriptors": ("EPERM", ["unshare", "close_range"]),
    "all about scheduling": (
        "EPERM",
        [
            *("sched_yield", "sched_setaffinity", "sched_getaffinity", "getcpu"),
            "sched_setscheduler",
        ],
    ),
    "all at once": (
        "EPERM",
        [
            *("process_vm_writev", "process_vm_readv", "ptrace", "perf_event_open"),
            *("clock_nanosleep", "unshare", "close_range", "sched_getaffinity"),
            *("sched_setaffinity", "sched_yield", "getcpu", "sendfile"),
        ],
    ),
}

SANDBOX = "sandbox.refuse(%s, error=errno.%s)"
NO_COPIES = ["process_vm_writev", "process_vm_readv", "memfd_create"]
NO_WAY = (
    "this kernel or sandbox allows neither process_vm_writev nor memfd_create with "
    "pwritev, which reading stacks safely needs"
)


def sandbox_of(error, names):
    return SANDBOX % (", ".join(map(repr, names)), error)


@pytest.mark.parametrize("what", list(REFUSED))
def test_profiles_are_right_without(service, launch, what):
    ask(service)
    program = launch(program_in(sandbox_of(*REFUSED[what])), service=service)
    for read in profiles(service):
        check_right(read)
        # With a loop for a sleep it would be its whole time.
        assert time_of_profiler(read) < 0.5 * read.raw.duration_nanos
    assert finish(program) == []


def time_of_profiler(read):
    """By its own words, in ns: "sampler: 1.23 ms of CPU ..."."""
    (words,) = [c for c in read.comments() if " ms of CPU" in c]
    return float(words.split()[1]) * 1e6


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_where_memory_cannot_be_copied_one_line_says_so(service, launch, error):
    program = launch(program_in(sandbox_of(error, NO_COPIES)), service=service)
    assert program.line() == "ERROR Cannot start profiling: " + NO_WAY
    assert finish(program) == []
    assert service.created == []


def test_a_program_that_goes_into_a_sandbox_later_is_told_once(service, launch):
    ask(service, 0.2, 0.2)
    enter = "wait(); sandbox.refuse(%s, all_threads=True)"
    program = launch(
        program_in(after=enter % ", ".join(map(repr, NO_COPIES))), service=service
    )
    for read in profiles(service):
        check_right(read)
    program.say()
    lost = program.line()
    while "Failed" not in lost:
        lost = program.line()
    assert lost.startswith("WARNING Failed to collect and upload profile"), lost
    assert lost.endswith(NO_WAY)
    service.wait_created(len(service.created) + 2)
    assert finish(program) == []
