"""An agent on trial: what it says, how it backs off, what it costs, and that it
profiles again once the fault is over."""

import collections
import contextlib
import pathlib
import re
import shutil
import socket
import tempfile
import time

from fake_service import PATIENCE_S, FakeService, assign
from profiles import Read
from program import Program
from wire import HOST, Door

PROGRAM = """
import functools
import logging
import sys
import time
import googlecloudprofiler
from googlecloudprofiler import _native

class Handler(logging.Handler):
    def emit(self, record):
        text = record.getMessage()
        print("%.3f %s %s" % (time.monotonic(), record.levelname, text), flush=True)

backoff_ns = tuple(round(float(s) * 10**9) for s in sys.argv[1:3])
_native.start = functools.partial(_native.start, backoff_ns=backoff_ns)
logging.getLogger("googlecloudprofiler").addHandler(Handler())
googlecloudprofiler.start(service="web", verbose=3, **eval(sys.argv[3]))
begin = time.monotonic(), time.process_time()
sys.stdin.readline()
googlecloudprofiler.stop()
# Not ru_maxrss: that begins with what the parent had.
with open("/proc/self/status") as file:
    (peak_kb,) = [line.split()[1] for line in file if line.startswith("VmHWM")]
print("cost", time.monotonic() - begin[0], time.process_time() - begin[1],
      peak_kb, flush=True)
"""

# The least and the most envelope of the backoff, s, instead of a minute and an hour.
BACKOFF_S = (0.05, 0.2)

FAILED = "Failed to create profile (will retry after "
AGAIN = "The profiler service answers again"
# What the original agent writes when a window is lost.
LOST = "Failed to collect and upload profile whose profile type is "

# How core tells of a connection that the server has ended, at work or at its begin.
CUT = "UNAVAILABLE: .*(Socket closed|Broken pipe|Connection reset)"

# So many failures show that the first ones are told and the others are not.
ENOUGH = 8

# A failure that time may mend is told when it is the third in a row.
QUIET_FAILURES = 2

# CPU time, s: of the start, and for each second of life. A busy loop needs 1.
COST_S = 0.5
COST_PER_S = 0.2

# An agent takes 30 to 40 MiB with Python; a window's arenas are in it.
MAX_MEMORY_KB = 80 << 10

Record = collections.namedtuple("Record", "at level text")


class Agent:
    """A program with an agent in it, and all that the agent says."""

    def __init__(self, endpoint, backoff_s=BACKOFF_S, options=None, **environ):
        self.records = []
        self.backoff_s = backoff_s
        self.cost = None
        self._folder = tempfile.mkdtemp()
        environ["GOOGLE_CLOUD_PROFILER_ENDPOINT"] = endpoint
        arguments = [*map(str, backoff_s), repr(options or {})]
        self.program = Program(
            pathlib.Path(self._folder), PROGRAM, arguments, environ
        )

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.program.kill()
        shutil.rmtree(self._folder)

    def _take(self, line):
        words = line.split(" ", 2)
        if words[0] == "cost":
            self.cost = [float(w) for w in line.split()[1:]]
        else:
            self.records.append(Record(float(words[0]), words[1], words[2]))

    def wait_said(self, begin, nr=1, timeout_s=PATIENCE_S):
        """The first `nr` records that begin so."""
        end = time.monotonic() + timeout_s
        while True:
            found = [r for r in self.records if r.text.startswith(begin)]
            if len(found) >= nr:
                return found[:nr]
            left_s = end - time.monotonic()
            if left_s < 0:
                raise AssertionError("%r is not said: %s" % (begin, self.records[-9:]))
            self._take(self.program.line(left_s))

    def wait_failures(self, nr=ENOUGH, timeout_s=PATIENCE_S):
        return self.wait_said(FAILED, nr, timeout_s)

    def said(self, level):
        return [r.text for r in self.records if r.level == level]

    def delays(self):
        """The delays, s, that it has announced."""
        return [delay_of(r) for r in self.records if r.text.startswith(FAILED)]

    def assert_alive(self):
        assert "cprof-agent" in self.program.threads().values()

    def finish(self):
        """Stop it, and take what was not heard yet. Once is enough."""
        if self.cost:
            return
        self.program.say()
        assert self.program.end() == 0, self.program.stderr()
        assert self.program.stderr() == ""
        for line in self.program.rest():
            self._take(line)
        assert self.cost, "the program has not come to its end"


def delay_of(record):
    return float(record.text[len(FAILED) :].split("s)")[0])


# What arrived after a fault, for uploads_test.py.
recovered = []


def recover(agent, service, mend):
    """The fault is over: a profile arrives, and it is one."""
    before = len(service.updated)
    mend()
    call = service.wait_updated(before + 1)[before]
    data = call.request.profile.profile_bytes
    assert Read(data).total() > 0
    recovered.append(data)
    agent.assert_alive()
    return call


def check_told(agent, told):
    """Warnings are these and no others, and one word follows on recovery."""
    warnings = agent.said("WARNING")
    assert len(warnings) == len(told), warnings
    for text, want in zip(warnings, told):
        assert re.search(want, text), (want, text)
    outages = any(text.startswith(FAILED) for text in warnings)
    assert agent.said("INFO").count(AGAIN) == outages, agent.said("INFO")
    assert agent.said("ERROR") == []


def check_backoff(agent):
    """No delay above the envelope, and each delay is really waited for."""
    least, most = agent.backoff_s
    envelope = least
    begin, sum_s = None, 0
    for record in agent.records:
        if record.text.startswith("Successfully created"):
            envelope = least
        elif record.text.startswith(FAILED):
            delay = delay_of(record)
            assert delay <= envelope + 0.001, (delay, envelope)
            envelope = min(most, envelope * 1.3)
            begin = begin or record.at
            sum_s += delay
            end = begin
        elif begin and record.text == "Starting to create profile":
            end = record.at
    if begin:
        assert end - begin >= 0.8 * sum_s - 0.1


def check_cost(agent, extra_s=0):
    life_s, cpu_s, memory_kb = agent.cost
    assert cpu_s <= COST_S + extra_s + COST_PER_S * life_s, agent.cost
    assert memory_kb <= MAX_MEMORY_KB, agent.cost


def judge(agent, told=(), asked=False, extra_cpu_s=0):
    """End the program well and hold its whole life against what is promised."""
    agent.finish()
    check_told(agent, told)
    if not asked:
        check_backoff(agent)
    check_cost(agent, extra_cpu_s)


def good(service):
    """From now on the service has work, and takes it."""
    service.create_default = assign("WALL", 0.1)


@contextlib.contextmanager
def serve(**faults):
    """A service with these replies (see FakeService) until it is mended."""
    with FakeService() as service:
        for name, reply in faults.items():
            setattr(service, name, reply)
        yield service


@contextlib.contextmanager
def hold(port):
    """Keep a port from being given to another test while nobody listens at it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((HOST, port))
        yield holder.getsockname()[1]


def try_reply(reply, told, failures=ENOUGH, first=None, **more):
    """CreateProfile is answered so, until it is not. Of the failures the `first` is
    the one to be told."""
    with serve(create_default=reply) as service, Agent(
        service.endpoint, **more
    ) as agent:
        agent.wait_failures(failures)
        agent.assert_alive()
        recover(agent, service, lambda: good(service))
        judge(agent, told)
        if first is not None:
            levels = [r.level for r in agent.records if r.text.startswith(FAILED)]
            want = ["DEBUG"] * len(levels)
            want[first] = "WARNING"
            assert levels == want


def by_count(agent, told):
    """What is to be told; None: it depends on how often core has tried again."""
    if told is None:
        told = ["UNAVAILABLE: "] * (len(agent.delays()) > QUIET_FAILURES)
    return told


def try_door(script, told, failures=ENOUGH, timeout_s=PATIENCE_S, extra_cpu_s=0):
    """A server that follows `script` (see wire.Door), until it is mended."""
    with FakeService() as service, Door(script, service.port) as door:
        good(service)
        with Agent(door.endpoint) as agent:
            agent.wait_failures(failures, timeout_s)
            assert door.visitors
            agent.assert_alive()
            recover(agent, service, door.mend)
            agent.finish()
            told = by_count(agent, told)
            # The mending ends connections, which may be a kind that is new.
            more = agent.said("WARNING")[len(told) :]
            if more and re.search(CUT, more[0]):
                told = [*told, CUT]
            judge(agent, told, extra_cpu_s=extra_cpu_s)
    assert not door.errors, door.errors
