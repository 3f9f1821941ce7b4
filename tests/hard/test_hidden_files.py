"""/proc does not tell of threads: profiles lack names and states, and say so."""

import os

import pytest
from place import ask, check_right, finish, profiles, program_in, states, time_of

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")

NO_PROC = """
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x44000, None) or (
    libc.mount(b"none", b"/proc", b"tmpfs", 0, None)
):
    raise OSError(ctypes.get_errno(), "/proc stays")
"""
NOTHING = "/proc tells nothing of threads: "
NO_STATES = "/proc does not tell what threads wait for: "


def comments(read, beginning):
    return [c for c in read.comments() if c.startswith("sampler: " + beginning)]


@root
def test_without_proc_profiles_have_no_names_and_no_states(service, launch):
    ask(service)
    program = launch(program_in(NO_PROC), service=service)
    cpu, wall = profiles(service)
    for read in (cpu, wall):
        check_right(read)
        assert comments(read, NOTHING)
    # Not all that the program has used since its start.
    assert cpu.total() < 1.5 * cpu.raw.duration_nanos
    assert states(wall, "wait") == {None}
    assert not time_of(cpu, "[exited threads]")
    (said,) = finish(program)
    assert said.startswith("INFO Profiles say less here: " + NOTHING)


# A daemon that drops its rights: files of /proc that tell more are root's from then on.
DROP = "wait(); os.seteuid(65534)"


@root
def test_a_program_that_drops_its_rights_lacks_states_only(service, launch):
    ask(service)
    program = launch(program_in(after=DROP), service=service)
    cpu, wall = profiles(service)
    assert states(wall, "wait") == {"io"}
    assert not comments(wall, NO_STATES)
    program.say()
    cpu, wall = profiles(service)
    for read in (cpu, wall):
        check_right(read)
        assert comments(read, NO_STATES)
    assert states(wall, "wait") == {None}
    assert "running" in states(wall, "spin")
    (said,) = finish(program)
    assert said.startswith("INFO Profiles say less here: " + NO_STATES)
