"""The end of a program, asked for in each state of the agent: as without the agent,
within a second, and without a word."""

import contextlib
import signal
import socket
import time

import grpc
import pytest
from fake_service import FakeService, assign, eventually, hang, postpone, refuse
from program import Program

# The agent's second and a busy machine's half.
BOUND_S = 1.5
STOP_BOUND_S = 1.0

PROGRAM = """
import os
import signal
import sys
import time

# Tests that run in the background of a shell are started with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def stop():
    begin = time.monotonic()
    googlecloudprofiler.stop()
    took = time.monotonic() - begin
    googlecloudprofiler.stop()
    print(took, flush=True)
    sys.stdin.readline()
    googlecloudprofiler.start(service="again")
    sys.stdin.readline()

if sys.argv[2] != "no agent":
    import googlecloudprofiler
    googlecloudprofiler.start(service="web")
print("started", flush=True)
sys.stdin.readline()
end = sys.argv[1]
if end == "sys.exit":
    sys.exit(3)
elif end == "exception":
    sys.excepthook = lambda *a: None
    raise RuntimeError
elif end == "os._exit":
    os._exit(4)
elif end == "interrupt":
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(5)
elif end == "sigterm":
    while True:
        time.sleep(60)
elif end == "stop":
    stop()
"""

# What ends the program, and its exit status.
ENDS = {
    "normal": 0,
    "sys.exit": 3,
    "exception": 1,
    "os._exit": 4,
    "interrupt": 5,
    "sigterm": -signal.SIGTERM,
}


class World:
    """What the agent meets: `environ` leads it there, and wait_until_there() waits
    until a program's agent is in the state."""

    def __init__(self, environ, wait_until_there):
        self.environ = environ
        self.wait_until_there = wait_until_there


def at(endpoint):
    return {"GOOGLE_CLOUD_PROFILER_ENDPOINT": endpoint}


@contextlib.contextmanager
def polling():
    with FakeService() as service:
        yield World(at(service.endpoint), lambda program: service.wait_created(1))


@contextlib.contextmanager
def collecting():
    with FakeService() as service:
        service.create_default = assign("CPU", 60)
        yield World(at(service.endpoint), lambda program: program.wait_collecting())


@contextlib.contextmanager
def uploading():
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        service.update_default = hang
        yield World(at(service.endpoint), lambda program: service.wait_updated(1))


def _refused(reply):
    @contextlib.contextmanager
    def world():
        with FakeService() as service:
            service.create_default = reply

            def wait(program):
                service.wait_created(1)[0].ended.wait()
                program.wait_agent_rests()

            yield World(at(service.endpoint), wait)

    return world


@contextlib.contextmanager
def pausing_between_uploads():
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        service.update_default = refuse(grpc.StatusCode.UNAVAILABLE)

        def wait(program):
            service.wait_updated(1)[0].ended.wait()
            program.wait_agent_rests()

        yield World(at(service.endpoint), wait)


@contextlib.contextmanager
def connecting():
    """A port that accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        held = []

        def wait(program):
            listener.settimeout(30)
            held.append(listener.accept()[0])

        yield World(at("http://127.0.0.1:%d" % listener.getsockname()[1]), wait)
        for connection in held:
            connection.close()


@contextlib.contextmanager
def without_a_server():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = "http://127.0.0.1:%d" % taken.getsockname()[1]
        yield World(at(endpoint), Program.wait_agent_rests)


STATES = {
    "polling": polling,
    "collecting": collecting,
    "uploading": uploading,
    "backing off": _refused(refuse(grpc.StatusCode.UNAVAILABLE, "later")),
    "backing off as told": _refused(postpone(3000)),
    "pausing between uploads": pausing_between_uploads,
    "connecting": connecting,
    "without a server": without_a_server,
}


def end_of(program, end):
    """(exit status, seconds from asking to the end)."""
    if end in ("interrupt", "sigterm"):
        program.say()
        program.wait_asleep()
        begin = time.monotonic()
        program.signal(signal.SIGINT if end == "interrupt" else signal.SIGTERM)
    else:
        begin = time.monotonic()
        program.say()
    status = program.end()
    return status, time.monotonic() - begin


@pytest.fixture(scope="module")
def without_agent(tmp_path_factory):
    """For each end, the seconds that it takes a program without the agent."""
    took = {}
    for end in ENDS:
        program = Program(tmp_path_factory.mktemp("plain"), PROGRAM, (end, "no agent"))
        try:
            assert program.line() == "started"
            status, took[end] = end_of(program, end)
            assert status == ENDS[end]
        finally:
            program.kill()
    return took


@pytest.mark.parametrize("end", list(ENDS))
@pytest.mark.parametrize("state", list(STATES))
def test_the_end_is_as_without_the_agent(launch, without_agent, state, end):
    with STATES[state]() as world:
        program = launch(PROGRAM, end, "agent", **world.environ)
        assert program.line() == "started"
        world.wait_until_there(program)
        status, seconds = end_of(program, end)
        assert status == ENDS[end]
        assert program.stderr() == ""
        assert seconds - without_agent[end] < BOUND_S


@pytest.mark.parametrize("state", list(STATES))
def test_stop_returns_within_a_second_and_start_works_again(launch, state):
    with STATES[state]() as world:
        program = launch(PROGRAM, "stop", "agent", **world.environ)
        assert program.line() == "started"
        world.wait_until_there(program)
        program.say()
        assert float(program.line()) <= STOP_BOUND_S
        eventually(
            lambda: "cprof-log" not in program.threads().values(),
            "nobody who speaks",
        )
        program.wait_agent_rests()
        program.say()
        eventually(
            lambda: "cprof-log" in program.threads().values(), "the agent is back"
        )
        # For a moment core's threads have their maker's name.
        eventually(
            lambda: list(program.threads().values()).count("cprof-agent") == 1,
            "one thread of the agent",
        )
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""


def test_after_stop_and_start_there_are_profiles_again(service, launch):
    program = launch(PROGRAM, "stop", "agent", service=service)
    service.wait_created(1)
    program.say()
    program.line()
    service.on_create.append(assign("CPU", 0.1))
    program.say()
    profile = service.wait_updated(1)[0].request.profile
    assert profile.deployment.target == "again"
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""


def test_the_end_may_come_at_any_moment_after_start(launch):
    """No state is waited for: the agent is somewhere on its way."""
    text = """
import sys
import time
import googlecloudprofiler
googlecloudprofiler.start(service="web")
time.sleep(float(sys.argv[1]))
"""
    with FakeService() as service:
        service.create_default = assign("CPU", 0.1)
        for i in range(16):
            program = launch(text, str(i * 0.003), service=service)
            assert program.end(10) == 0
            assert program.stderr() == ""


def test_a_program_with_threads_left_running_ends(launch):
    text = """
import threading
import time
import googlecloudprofiler

def spin():
    while True:
        sum(range(100))

for _ in range(4):
    threading.Thread(target=spin, daemon=True).start()
googlecloudprofiler.start(service="web", verbose=3)
time.sleep(0.5)
"""
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        program = launch(text, service=service)
        assert program.end(10) == 0
        assert program.stderr() == ""


def test_start_and_stop_over_and_over_leave_nothing(launch):
    text = """
import os
import googlecloudprofiler

def open_files():
    "The agent's own: they are in the table of its thread."
    for tid in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/comm" % tid) as file:
            if file.read() == "cprof-agent\\n":
                return len(os.listdir("/proc/self/task/%s/fd" % tid))
    return 0

for i in range(30):
    googlecloudprofiler.start(service="web")
    googlecloudprofiler.stop()
    if i == 9:
        before = open_files()
print(open_files() - before, len(os.listdir("/proc/self/task")))
"""
    with FakeService() as service:
        program = launch(text, service=service)
        more_files, threads = map(int, program.line().split())
        assert program.end() == 0
        assert program.stderr() == ""
        # 20 rounds; core closes some things a little later, and keeps some threads.
        assert more_files < 5
        assert threads < 20


def test_stop_from_many_threads_is_one_stop(launch):
    text = """
import sys
import threading
import googlecloudprofiler

googlecloudprofiler.start(service="web")
sys.stdin.readline()
threads = [threading.Thread(target=googlecloudprofiler.stop) for _ in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
"""
    with FakeService() as service:
        service.create_default = assign("WALL", 60)
        program = launch(text, service=service)
        program.wait_collecting()
        program.say()
        assert program.end(10) == 0
        assert program.stderr() == ""


def test_stop_without_start_does_nothing(launch):
    program = launch("import googlecloudprofiler as g\ng.stop()\ng.stop()\n")
    assert program.end(10) == 0
    assert program.stderr() == ""
