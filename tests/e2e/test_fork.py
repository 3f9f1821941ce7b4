"""Forks while the agent works: a child that does not live for long is left alone,
without a word, and the parent is profiled on. What becomes of children that live is in
test_children.py."""

import contextlib
import textwrap
import threading

import pytest
from fake_service import FakeService, accept, after, assign

# `body` runs when the agent is in its state; `go_on` is for the threads of a body.
PROGRAM = """
import os
import sys
import threading
import googlecloudprofiler

def reap(pid):
    status = os.waitpid(pid, 0)[1]
    print("child", os.WTERMSIG(status) if os.WIFSIGNALED(status)
          else os.WEXITSTATUS(status), flush=True)

def main():
    googlecloudprofiler.start(service="web")
    print("started", flush=True)
    sys.stdin.readline()
{body}
    print("done", flush=True)
    sys.stdin.readline()

if __name__ == "__main__":
    main()
"""


def program_of(body):
    return PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))


BODIES = {
    "os._exit": (
        """
        pid = os.fork()
        if not pid:
            os._exit(7)
        reap(pid)
        """,
        ["child 7"],
    ),
    "sys.exit": (
        """
        pid = os.fork()
        if not pid:
            sys.exit(7)
        reap(pid)
        """,
        ["child 7"],
    ),
    "normal end": (
        """
        pid = os.fork()
        if not pid:
            sum(range(1000))
            return
        reap(pid)
        """,
        ["child 0"],
    ),
    "exception": (
        """
        pid = os.fork()
        if not pid:
            sys.excepthook = lambda *a: None
            raise RuntimeError
        reap(pid)
        """,
        ["child 1"],
    ),
    "start and stop in the child": (
        """
        pid = os.fork()
        if not pid:
            googlecloudprofiler.start(service="child")
            googlecloudprofiler.start(service="child")
            googlecloudprofiler.stop()
            googlecloudprofiler.stop()
            sys.exit(7)
        reap(pid)
        """,
        ["child 7"],
    ),
    "from a thread": (
        """
        def fork():
            pid = os.fork()
            if not pid:
                sys.exit(0)
            reap(pid)

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        """,
        ["child 0"],
    ),
    "nested": (
        """
        pid = os.fork()
        if not pid:
            inner = os.fork()
            if not inner:
                sys.exit(6)
            sys.exit(os.WEXITSTATUS(os.waitpid(inner, 0)[1]) + 1)
        reap(pid)
        """,
        ["child 7"],
    ),
    "many": (
        """
        pids = [os.fork() or os._exit(0) for _ in range(20)]
        for pid in pids:
            reap(pid)
        """,
        ["child 0"] * 20,
    ),
    "with threads of its own": (
        """
        pid = os.fork()
        if not pid:
            found = []
            threads = [
                threading.Thread(target=found.append, args=(i,)) for i in range(4)
            ]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            sys.exit(len(found))
        reap(pid)
        """,
        ["child 4"],
    ),
    "multiprocessing.Pool": (
        """
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as pool:
            print("sum", sum(pool.map(abs, range(10))), flush=True)
            pool.close()
            pool.join()
        """,
        ["sum 45"],
    ),
    "multiprocessing.Process": (
        """
        import multiprocessing

        fork = multiprocessing.get_context("fork")
        process = fork.Process(target=sys.exit, args=(7,))
        process.start()
        process.join()
        print("child", process.exitcode, flush=True)
        """,
        ["child 7"],
    ),
    "subprocess": (
        """
        import subprocess

        done = subprocess.run([sys.executable, "-c", "print(6 * 7)"],
                              stdout=subprocess.PIPE, preexec_fn=os.getpid)
        print(done.stdout.decode().strip(), done.returncode, flush=True)
        done = subprocess.run(["/bin/sh", "-c", "exit 7"])
        print("child", done.returncode, os.system("exit 0"), flush=True)
        """,
        ["42 0", "child 7 0"],
    ),
    "forkserver and spawn": (
        """
        import multiprocessing

        for method in ("spawn", "forkserver"):
            process = multiprocessing.get_context(method).Process(target=abs, args=(1,))
            process.start()
            process.join()
            print("child", process.exitcode, flush=True)
        """,
        ["child 0", "child 0"],
    ),
}


class World:
    """A service that brings the agent into a state, waits until it is there, and
    lets it go."""

    def __init__(self):
        self.service = FakeService()
        self.gate = threading.Event()
        # Whenever the agent comes to ask, it waits until it is let go.
        self.service.create_default = after(self.gate, assign("CPU", 0.1))


class Polling(World):
    uploads = 2

    def prepare(self):
        pass

    def wait_until_there(self, program):
        self.service.wait_created(1)


class Collecting(World):
    uploads = 2

    def prepare(self):
        self.service.on_create.append(assign("WALL", 0.6))

    def wait_until_there(self, program):
        program.wait_collecting()


class Uploading(World):
    uploads = 3

    def prepare(self):
        self.service.on_create.append(assign("WALL", 0.1))
        self.service.on_update.append(after(self.gate, accept))

    def wait_until_there(self, program):
        self.service.wait_updated(1)


STATES = {"polling": Polling, "collecting": Collecting, "uploading": Uploading}


@contextlib.contextmanager
def in_state(state):
    world = STATES[state]()
    with world.service:
        world.prepare()
        yield world


@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("state", list(STATES))
def test_a_child_ends_well_and_the_parent_is_profiled_on(launch, state, body):
    text, said = BODIES[body]
    with in_state(state) as world:
        program = launch(program_of(text), service=world.service)
        assert program.line() == "started"
        world.wait_until_there(program)
        program.say()
        for line in said:
            assert program.line() == line
        assert program.line() == "done"
        world.gate.set()
        world.service.wait_updated(world.uploads)
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""
        # Nobody but the parent has spoken to the service.
        targets = {c.request.deployment.target for c in world.service.created}
        assert targets == {"web"}
        assert len({c.peer for c in world.service.created}) == 1


def test_forks_in_quick_succession_while_profiles_are_made(launch):
    text = """
import os
import sys
import threading
import googlecloudprofiler

go_on = True

def spin():
    while go_on:
        sum(range(100))

threads = [threading.Thread(target=spin) for _ in range(2)]
for t in threads:
    t.start()
googlecloudprofiler.start(service="web", verbose=0)
for i in range(100):
    pid = os.fork()
    if not pid:
        os._exit(i % 7)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == i % 7
print("done", flush=True)
sys.stdin.readline()
go_on = False
for t in threads:
    t.join()
"""
    with FakeService() as service:
        service.create_default = assign("CPU", 0.1)
        program = launch(text, service=service)
        assert program.line() == "done"
        service.wait_updated(len(service.updated) + 2)
        program.say()
        assert program.end() == 0
        assert program.stderr() == ""
