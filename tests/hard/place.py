"""A program in a hard place: what it says, and whether its profiles are right."""

import itertools
import os

from fake_service import assign
from profiles import Read

_E2E = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e")

# A main thread that waits and a thread that spins, in a place that some code makes,
# before start() or after it.
PROGRAM = """
import ctypes
import errno
import logging
import os
import resource
import sys
import threading
import googlecloudprofiler
sys.path.insert(0, %r)
import sandbox

class Handler(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.getMessage(), flush=True)

{work}

def wait():
    sys.stdin.readline()

options = {}
logging.getLogger("googlecloudprofiler").addHandler(Handler())
threading.Thread(target=spin, daemon=True).start()
{before}
googlecloudprofiler.start(service="web", verbose=2, **options)
{after}
wait()
""" % _E2E


SPIN = """
def spin():
    while True:
        sum(range(1000))
"""


def program_in(before="", after="", work=SPIN):
    parts = {"{before}": before, "{after}": after, "{work}": work}
    text = PROGRAM
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def finish(program):
    """End it well; the lines that it said, less that of the version."""
    program.say()
    assert program.end() == 0, program.stderr()
    assert program.stderr() == "", program.stderr()
    return [line for line in program.rest() if "agent version" not in line]


def ask(service, cpu_seconds=0.4, wall_seconds=0.4):
    """From now on it wants profiles, of CPU and wall time in turn."""
    turns = itertools.cycle((("CPU", cpu_seconds), ("WALL", wall_seconds)))
    service.create_default = lambda call: assign(*next(turns))(call)


def profiles(service):
    """The next of CPU and of wall time that begin after this."""
    # The one that is being made began before.
    nr = len(service.updated) + bool(service.created)
    calls = service.wait_updated(nr + 2)[nr : nr + 2]
    found = [Read(c.request.profile.profile_bytes) for c in calls]
    return sorted(found, key=lambda read: read.types()[1])


def time_of(read, function):
    return sum(v[1] for frames, v, _ in read.stacks if function in names(frames))


def names(frames):
    return [f[0] for f in frames]


def states(read, function):
    """The labels of the stacks with this function in them."""
    return {s.get("state") for f, _, s in read.stacks if function in names(f)}


def check_right(read, wall=("wait", "spin")):
    """The spinner used the CPU; and each of the two spent the whole time."""
    if read.types()[1][0] == "cpu":
        assert time_of(read, "spin") > 0.8 * read.total(), read.stacks
        assert time_of(read, "wait") < 0.1 * read.total(), read.stacks
        return
    for function in wall:
        spent = time_of(read, function) / read.raw.duration_nanos
        assert 0.95 < spent < 1.05, (function, spent)
