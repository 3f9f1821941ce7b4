"""The agent is a guest in the process: it changes nothing that is not its own."""

import json

import pytest
from builds import bundled
from fake_service import FakeService, assign, raw
from program import Program

CRASHES = {4, 6, 7, 8, 11}  # SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV
SIGNALS = set(range(1, 65)) - {9, 19, 32, 33}  # KILL, STOP and libc's own

LOOK = """
import fcntl
import json
import logging
import os
import random
import signal
import sys
import threading
import googlecloudprofiler

def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask

def descriptors():
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            found[fd] = (
                os.readlink("/proc/self/fd/%d" % fd),
                bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
            )
        except OSError:
            pass
    return found

def look():
    with open("/proc/self/status") as file:
        rows = dict(line.split(":", 1) for line in file)
    return {
        # 32 and 33 are libc's own, which it sets up with the first thread.
        "signals": [
            int(rows[k], 16) & ~(3 << 31) for k in ("SigCgt", "SigIgn", "SigBlk")
        ],
        "handlers": [str(signal.getsignal(n)) for n in range(1, 65)],
        "timers": [signal.getitimer(n) for n in range(3)],
        "environment": dict(os.environ),
        "native environment": open("/proc/self/environ").read(),
        "random": hash(random.getstate()),
        "umask": umask(),
        "directory": os.getcwd(),
        "root logger": [str(h) for h in logging.getLogger().handlers],
        "threads": sorted(t.name for t in threading.enumerate()),
        "hooks": [str(x) for x in (
            sys.excepthook, sys.gettrace(), sys.getprofile(), threading.excepthook,
            sys.getswitchinterval(), sys.getrecursionlimit(),
        )],
    }

random.seed(7)
before = look(), descriptors()
googlecloudprofiler.start(service="web")
started = look(), descriptors()
sys.stdin.readline()
working = look(), descriptors()
googlecloudprofiler.stop()
stopped = look(), descriptors()
print(json.dumps([before, started, working, stopped]), flush=True)
"""


@pytest.fixture(scope="module")
def looks(tmp_path_factory):

    with FakeService() as service:
        service.on_create.extend([assign("CPU", 0.2), assign("WALL", 0.2)])
        program = Program(
            tmp_path_factory.mktemp("program"),
            LOOK,
            environ={"GOOGLE_CLOUD_PROFILER_ENDPOINT": service.endpoint},
        )
        try:
            service.wait_updated(2)
            program.say()
            found = json.loads(program.line())
            assert program.end() == 0, program.stderr()
        finally:
            program.kill()
    return dict(zip(("before", "started", "working", "stopped"), found))


@pytest.mark.parametrize(
    "what",
    [
        "signals",
        "handlers",
        "timers",
        "environment",
        "native environment",
        "random",
        "umask",
        "directory",
        "root logger",
        "threads",
        "hooks",
    ],
)
def test_nothing_of_the_process_is_changed(looks, what):
    want = looks["before"][0][what]
    for when in ("started", "working", "stopped"):
        assert looks[when][0][what] == want, when


@pytest.mark.parametrize("when", ["started", "working", "stopped"])
def test_the_program_has_none_of_its_descriptors(looks, when):
    assert looks[when][1] == looks["before"][1]


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


def test_program_that_uses_grpcio_itself_is_undisturbed(service, launch):
    """Two gRPC cores in one process, each with its own calls."""
    text = """
import sys
if sys.argv[1] == "before":
    import grpc
import googlecloudprofiler
googlecloudprofiler.start(service="web")
import grpc

METHOD = "/google.devtools.cloudprofiler.v2.ProfilerService/UpdateProfile"
calls = 0
with grpc.insecure_channel(sys.argv[2]) as channel:
    update = channel.unary_unary(METHOD)
    print("ready", flush=True)
    import select
    while not select.select([sys.stdin], [], [], 0)[0]:
        assert update(b"", timeout=10) == b"echo"
        calls += 1
print(calls, flush=True)
"""

    for order in ("before", "after"):
        with FakeService() as own, FakeService() as other:
            own.on_create.extend([assign("CPU", 0.4), assign("WALL", 0.4)])
            other.update_default = raw(b"echo")
            program = launch(text, order, other.endpoint[7:], service=own)
            assert program.line() == "ready"
            own.wait_updated(2)
            program.say()
            assert int(program.line()) > 10
            assert program.end() == 0
            assert program.stderr() == ""


def test_program_that_serves_grpc_itself_is_undisturbed(service, launch):
    text = """
import sys
from concurrent import futures
import grpc
import googlecloudprofiler

def echo(data, context):
    return data

server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler(
        "test.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    ),
))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
googlecloudprofiler.start(service="web")
with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
    for i in range(300):
        assert channel.unary_unary("/test.Echo/Echo")(b"%d" % i) == b"%d" % i
sys.stdin.readline()
googlecloudprofiler.stop()
with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
    assert channel.unary_unary("/test.Echo/Echo")(b"end") == b"end"
server.stop(None).wait()
print("fine", flush=True)
"""
    service.create_default = assign("WALL", 0.2)
    program = launch(text, service=service)
    service.wait_updated(2)
    program.say()
    assert program.line() == "fine"
    assert program.end() == 0
    assert program.stderr() == ""
