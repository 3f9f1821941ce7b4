"""The agent is a guest in the process: it changes nothing that is not its own."""

import json

import pytest
from builds import bundled
from fake_service import assign
from program import Program
from secure import SecureService

CRASHES = {4, 6, 7, 8, 11}  # SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV
SIGNALS = set(range(1, 65)) - {9, 19, 32, 33}  # KILL, STOP and libc's own

LOOK = """
import json
import signal
import sys
import threading
import state

def busy():
    while not ended.wait(0.001):
        sum(range(10000))

# Settings that are not what they are by themselves, so that setting them shows.
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
signal.setitimer(signal.ITIMER_PROF, 1e6, 1e6)
ended = threading.Event()
thread = threading.Thread(target=busy)
thread.start()
tids = [threading.main_thread().native_id, thread.native_id]

def look():
    return state.look(tids), state.descriptors()

state.look(tids)  # to import what is imported late
before = look()
state.watch_exit()
import googlecloudprofiler
imported = look()
googlecloudprofiler.start(service="web")
started = look()
print("started", flush=True)
sys.stdin.readline()
working = look()
googlecloudprofiler.stop()
stopped = look()
ended.set()
print(json.dumps([before, imported, started, working, stopped]), flush=True)
print(json.dumps(state.exit_callbacks), flush=True)
"""
TIMES = ("before", "imported", "started", "working", "stopped")


@pytest.fixture(scope="module")
def program(tmp_path_factory, path, authority, settings):
    """What LOOK has printed. It found its service by name and over TLS: that is most
    of what core can do."""
    with SecureService(authority) as service:
        service.create_default = assign("CPU", 0.2)
        program = Program(
            tmp_path_factory.mktemp("program"),
            LOOK,
            environ=dict(
                settings,
                PYTHONPATH=path,
                GOOGLE_CLOUD_PROFILER_ENDPOINT=service.endpoint,
            ),
        )
        try:
            assert program.line() == "started"
            service.wait_updated(3)
            program.say()
            looks, exit_callbacks = json.loads(program.line()), program.line()
            assert program.end() == 0, program.stderr()
            assert program.stderr() == ""
        finally:
            program.kill()
    return dict(zip(TIMES, looks), exit_callbacks=json.loads(exit_callbacks))


def test_nothing_of_the_process_is_changed(program):
    before = program["before"][0]
    changed = {
        "%s, %s" % (what, when): (was, program[when][0][what])
        for when in TIMES[1:]
        for what, was in before.items()
        if program[when][0][what] != was
    }
    assert changed == {}


@pytest.mark.parametrize("when", TIMES[1:])
def test_the_program_has_its_own_descriptors_and_no_other(program, when):
    assert program[when][1] == program["before"][1]


def test_one_callback_at_exit_is_its_own_and_there_is_no_other(program):
    assert program["exit_callbacks"] == ["googlecloudprofiler._agent"]


def test_its_threads_take_no_signal_but_those_of_a_crash(service, launch):
    text = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
"""
    service.on_create.append(assign("CPU", 0.2))
    program = launch(text, service=service)
    service.wait_created(2)
    assert {"cprof-agent", "cprof-log"} <= set(program.threads().values())
    # Core's own threads are started by ours and inherit the mask.
    for tid in set(program.threads()) - {program.pid}:
        mask = int(program.status(tid)["SigBlk"], 16)
        blocked = {n for n in range(1, 65) if mask >> (n - 1) & 1}
        assert blocked & SIGNALS == SIGNALS - CRASHES, program.threads()[tid]


@bundled
def test_it_waits_with_nine_threads_at_most(service, launch):
    """Its own three, and those of core: the system's cannot be told a number."""
    text = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
"""
    service.on_create.extend([assign("CPU", 0.2), assign("WALL", 0.2)])
    program = launch(text, service=service)
    service.wait_created(3)
    program.wait_agent_rests()
    added = set(program.threads()) - {program.pid}
    assert 2 < len(added) <= 9, program.threads()
