"""What becomes of forked children that live: with the bundled transport each has an
agent of its own; with the system's, whose libraries the program shares, one INFO line
says that it has none."""

import os
import threading
import time

import pytest
from builds import bundled, systems
from fake_service import FakeService, after, assign, eventually

HERE = os.path.dirname(os.path.abspath(__file__))

# `child` is what a forked child does, and `parent` the other; both may read a line.
PROGRAM = """
import logging
import os
import sys
import time
import googlecloudprofiler

def busy():
    while True:
        sum(range(1000))

def wait():
    sys.stdin.readline()

def copies():
    "The copies of the transport: one came along from each fork, one is spare."
    with open("/proc/self/maps") as maps:
        return len({line.split()[4] for line in maps if "cprof-transport" in line})

def pause(n):
    if sys.argv[2] != "until told":
        time.sleep(float(sys.argv[2]))
        return
    while not os.path.exists("told-%d" % os.getpid()) or copies() < min(n + 1, 8):
        time.sleep(0.01)

def generation(n):
    "Has a child, which has a child and so on, each of them a while later."
    print(n, os.getpid(), flush=True)
    if n < int(sys.argv[1]):
        pause(n)
        if not os.fork():
            generation(n + 1)
    time.sleep(600)

logging.basicConfig(format="%(process)d %(message)s")
{body}
"""


def program_of(body):
    return PROGRAM.replace("{body}", body)


def processes(service):
    """The numbers of the processes that profiles came from."""
    return {c.request.profile.labels["process"] for c in service.updated}


def wait_profiled(service, pids):
    """Wait until there are profiles of these processes, and of no other."""
    eventually(lambda: processes(service) >= pids, "profiles of %s" % pids)
    assert processes(service) == pids


@pytest.fixture
def busy_service():
    """One that always wants a profile."""
    with FakeService() as service:
        service.create_default = assign("WALL", 0.1)
        yield service


FORK = """
googlecloudprofiler.start(service="web", verbose=2)
pid = os.fork()
if not pid:
    time.sleep(600)
print(pid, flush=True)
wait()
"""


@bundled
def test_a_child_is_profiled_by_itself_and_so_is_the_parent(busy_service, launch):
    program = launch(program_of(FORK), service=busy_service)
    child = program.line()
    wait_profiled(busy_service, {child, str(program.pid)})
    busy_service.updated.clear()
    wait_profiled(busy_service, {child, str(program.pid)})
    os.kill(int(child), 9)
    program.say()
    assert program.end() == 0
    assert [x for x in program.stderr().splitlines() if x.startswith(child)] == []


@systems
def test_one_info_line_tells_of_the_child(busy_service, launch):
    program = launch(program_of(FORK), service=busy_service)
    child = program.line()
    program.wait_stderr("The forked process %s is not profiled: " % child)
    os.kill(int(child), 9)
    program.say()
    assert program.end() == 0
    lines = [x for x in program.stderr().splitlines() if x.startswith(child + " ")]
    assert len(lines) == 1
    assert processes(busy_service) == {str(program.pid)}


@bundled
def test_a_poll_of_the_parent_outlives_a_fork(launch):
    """The call is the very same one: its reply comes when it is due."""
    gate = threading.Event()
    with FakeService() as service:
        service.on_create.append(after(gate, assign("WALL", 0.1)))
        program = launch(program_of(FORK), service=service)
        child = program.line()
        # The child asks by itself, meanwhile.
        service.wait_created(2)
        assert not service.created[0].ended.is_set()
        gate.set()
        service.wait_updated(1)
        assert processes(service) == {str(program.pid)}
        os.kill(int(child), 9)
        program.say()
        assert program.end() == 0


GENERATIONS = """
googlecloudprofiler.start(service="web", verbose=2)
generation(0)
"""


@bundled
@pytest.mark.parametrize("pause", ["0", "2.5"], ids=["at once", "later"])
def test_children_of_children_are_profiled(busy_service, launch, pause):
    program = launch(program_of(GENERATIONS), "3", pause, service=busy_service)
    pids = {program.line().split()[1] for _ in range(4)}
    try:
        wait_profiled(busy_service, pids)
    finally:
        for pid in pids:
            os.kill(int(pid), 9)


@bundled
def test_the_ninth_generation_is_told_that_it_is_not_profiled(busy_service, launch):
    program = launch(program_of(GENERATIONS), "9", "until told", service=busy_service)
    pids = []
    try:
        for _ in range(9):
            pids.append(program.line().split()[1])
            wait_profiled(busy_service, set(pids))
            told = os.path.join(os.path.dirname(program.path), "told-" + pids[-1])
            with open(told, "w", encoding="utf-8"):
                pass
        pids.append(program.line().split()[1])
        program.wait_stderr("The forked process %s is not profiled: it is a child of "
                            "the 9th generation" % pids[9])
        assert processes(busy_service) == set(pids[:9])
    finally:
        for pid in pids:
            os.kill(int(pid), 9)


@bundled
def test_start_in_a_child_is_accepted_without_a_word(busy_service, launch):
    body = """
googlecloudprofiler.start(service="web", verbose=1)
if not os.fork():
    googlecloudprofiler.start(service="web", verbose=1)
    print(os.getpid(), flush=True)
    time.sleep(600)
wait()
"""
    program = launch(program_of(body), service=busy_service)
    child = program.line()
    wait_profiled(busy_service, {child, str(program.pid)})
    os.kill(int(child), 9)
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""


@bundled
def test_stop_in_a_child_leaves_the_parent_its_profiles(busy_service, launch):
    body = """
googlecloudprofiler.start(service="web", verbose=1)
pid = os.fork()
if not pid:
    wait()
    googlecloudprofiler.stop()
    print("stopped", flush=True)
    googlecloudprofiler.start(service="child", verbose=1)
    time.sleep(600)
print(pid, flush=True)
time.sleep(600)
"""
    program = launch(program_of(body), service=busy_service)
    child = program.line()
    wait_profiled(busy_service, {child, str(program.pid)})
    program.say()
    assert program.line() == "stopped"

    def came():
        profiles = [c.request.profile for c in busy_service.updated]
        return {(p.labels["process"], p.deployment.target) for p in profiles}

    want = {(str(program.pid), "web"), (child, "web"), (child, "child")}
    eventually(lambda: came() == want, "profiles of all")
    os.kill(int(child), 9)
    assert program.stderr() == ""


@bundled
def test_a_daemon_is_profiled(busy_service, launch):
    """As PEP 3143 makes one: two forks, all descriptors closed in between."""
    body = """
googlecloudprofiler.start(service="web", verbose=1)
out = os.dup2(1, 100)
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 100)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.write(out, b"%d\\n" % os.getpid())
    os.close(out)
    time.sleep(600)
wait()
"""
    program = launch(program_of(body), service=busy_service)
    daemon = program.line()
    wait_profiled(busy_service, {daemon, str(program.pid)})
    os.kill(int(daemon), 9)
    program.say()
    assert program.end() == 0


THREAD_ENDS = """
import threading
googlecloudprofiler.start(service="web", verbose=1)

def fork():
    pid = os.fork()
    if not pid:
        {end}
    print(os.waitpid(pid, 0)[1], flush=True)

for _ in range(2):
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(
    "end",
    ["return", "sys.exit(3)", "time.sleep(3); return"],
    ids=["returns", "exits", "lives and returns"],
)
def test_a_child_whose_thread_just_ends_is_gone(busy_service, launch, end):
    """The C library ends the process with status 0 then, as it would without us."""
    text = program_of(THREAD_ENDS.replace("{end}", end))
    program = launch(text, service=busy_service)
    assert [program.line(), program.line()] == ["0", "0"]
    assert program.end() == 0
    assert program.stderr() == ""


def test_a_child_whose_thread_ends_waits_for_the_others(busy_service, launch):
    end = "threading.Thread(target=lambda: (time.sleep(2), print(7, flush=True)))" \
        ".start(); return"
    text = program_of(THREAD_ENDS.replace("{end}", end))
    program = launch(text, service=busy_service)
    assert [program.line() for _ in range(4)] == ["7", "0"] * 2
    assert program.end() == 0
    assert program.stderr() == ""


@bundled
def test_a_thousand_forks_disturb_nobody(launch):
    """Each child ends in its own way, the poll in flight is answered, and nothing is
    left open or behind."""
    body = """
import subprocess
googlecloudprofiler.start(service="web", verbose=1)
wait()
before = os.listdir("/proc/self/fd")
for i in range(1000):
    pid = os.fork()
    if not pid:
        if i % 3 == 0:
            os._exit(i % 7)
        if i % 3 == 1:
            os.execl("/bin/sh", "sh", "-c", "exit %d" % (i % 7))
        sys.exit(i % 7)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == i % 7
assert os.listdir("/proc/self/fd") == before
names = os.listdir("/proc/self/fd")
seen = subprocess.check_output(["ls", "/proc/self/fd"]).decode().split()
print(len(seen), flush=True)
wait()
"""
    gate = threading.Event()
    with FakeService() as service:
        service.create_default = after(gate, assign("WALL", 0.1))
        program = launch(program_of(body), service=service)
        service.wait_created(1)
        program.say()
        # 0, 1, 2 and the folder.
        assert program.line() == "4"
        assert len(service.created) == 1
        assert not service.created[0].ended.is_set()
        gate.set()
        service.wait_updated(1)
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""


# Where it may not have a table of descriptors of its own, in a sandbox on an old Linux.
SANDBOX = """
sys.path.insert(0, {here!r})
import sandbox
sandbox.refuse({names})
googlecloudprofiler.start(service="web", verbose=1)
"""


def sandboxed(body, *names):
    words = SANDBOX.format(here=HERE, names=", ".join(map(repr, names)))
    return program_of(words + body)


NO_TABLE = ["close_range", "unshare"]


@bundled
def test_in_a_sandbox_a_child_is_freed_of_what_it_inherits(busy_service, launch):
    body = """
wait()
before = set(os.listdir("/proc/self/fd"))
pid = os.fork()
if not pid:
    print(len(before), len(os.listdir("/proc/self/fd")), os.getpid(), flush=True)
    time.sleep(600)
time.sleep(600)
"""
    program = launch(sandboxed(body, *NO_TABLE), service=busy_service)
    busy_service.wait_updated(1)
    program.say()
    before, after_fork, child = program.line().split()
    # Nothing but what a program has anyway.
    assert int(after_fork) == 4 < int(before)
    try:
        wait_profiled(busy_service, {child, str(program.pid)})
    finally:
        os.kill(int(child), 9)
    assert program.stderr() == ""


@bundled
def test_in_a_sandbox_closing_all_descriptors_harms_nobody(busy_service, launch):
    body = """
wait()
os.closerange(3, 4096)
print("closed", flush=True)
wait()
"""
    program = launch(sandboxed(body, *NO_TABLE), service=busy_service)
    busy_service.wait_updated(1)
    program.say()
    assert program.line() == "closed"
    time.sleep(3)
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""


@bundled
@pytest.mark.parametrize("how", ["memory", "a temporary file", "nothing"])
def test_where_the_spare_comes_from(busy_service, launch, how):
    names = [] if how == "memory" else ["memfd_create"]
    body = """
if not os.fork():
    print(os.getpid(), open("/proc/self/maps").read().count("cprof-transport"),
          flush=True)
time.sleep(600)
"""
    text = sandboxed(body, *names)
    if how == "nothing":
        # There can be no file either that has a size.
        text = text.replace("import sandbox", NO_FILES + "import sandbox")
    program = launch(text, service=busy_service)
    child, in_memory = program.line().split()
    try:
        assert bool(int(in_memory)) == (how == "memory")
        pids = {str(program.pid)} | ({child} if how != "nothing" else set())
        wait_profiled(busy_service, pids)
        time.sleep(3 * (how == "nothing"))
        assert processes(busy_service) == pids
    finally:
        os.kill(int(child), 9)
    assert program.stderr() == ""


NO_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
"""
