"""Programs that own signals, timers and fault handlers: each does and says with an
agent that collects all the time what it does without one."""

import json
import re
import signal

import pytest
from fake_service import FakeService
from place import ask

PROGRAM = """
import ctypes
import errno
import faulthandler
import json
import os
import signal
import sys
import threading
import time
import googlecloudprofiler
import googlecloudprofiler._native  # as a traceback of a crash would name it

def is_main():
    return threading.current_thread() is threading.main_thread()

def send(number, times, arrived):
    "To the process, one after the other: pending ones of a number are one."
    for n in range(times):
        os.kill(os.getpid(), number)
        end = time.time() + 30
        while arrived() <= n and time.time() < end:
            time.sleep(0.001)

googlecloudprofiler.start(service="web", period_ms=1)
print("started", flush=True)
sys.stdin.readline()
{body}
"""

BODIES = {
    "SIGPROF of a timer": """
where = []
signal.signal(signal.SIGPROF, lambda *_: where.append(is_main()))
signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)
while len(where) < 40:
    sum(range(1000))
left, interval = signal.setitimer(signal.ITIMER_PROF, 0)
say = [all(where), 0 < left <= 0.01, 0.004 <= interval <= 0.01]
""",
    "SIGVTALRM of a timer": """
where = []
signal.signal(signal.SIGVTALRM, lambda *_: where.append(is_main()))
signal.setitimer(signal.ITIMER_VIRTUAL, 0.005, 0.005)
while len(where) < 40:
    sum(range(1000))
signal.setitimer(signal.ITIMER_VIRTUAL, 0)
say = all(where)
""",
    "SIGALRM whose handler raises": """
class Timeout(Exception):
    pass

def expire(number, frame):
    raise Timeout

signal.signal(signal.SIGALRM, expire)
cut = 0
for _ in range(40):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        time.sleep(30)
    except Timeout:
        cut += 1
say = cut
""",
    "each signal": """
where = {}
mine = [n for n in range(1, 65) if n not in (9, 19, 32, 33)]
for number in mine:
    where[number] = []
    signal.signal(number, lambda n, _: where[n].append(is_main()))
for number in mine:
    send(number, 5, lambda: len(where[number]))
say = where
""",
    "SIGCHLD": """
ended = []

def reap(number, frame):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except OSError:
            return
        if not pid:
            return
        ended.append((status, is_main()))

signal.signal(signal.SIGCHLD, reap)
for n in range(10):
    if not os.fork():
        os._exit(n)
    while len(ended) <= n:
        time.sleep(0.001)
say = ended
""",
    "a blocked signal": """
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(is_main()))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.1)
pending = sorted(map(int, signal.sigpending()))
early = list(got)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
say = [early, pending, got, sorted(map(int, signal.pthread_sigmask(0, [])))]
""",
    "sigwait in a thread": """
numbers = [signal.SIGUSR2, signal.SIGTERM, signal.SIGRTMIN + 3]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
got = []

def wait():
    while len(got) < 30:
        got.append(int(signal.sigwait(numbers)))

thread = threading.Thread(target=wait)
thread.start()
for number in 10 * numbers:
    send(number, 1, lambda before=len(got): len(got) - before)
thread.join()
say = got
""",
    "a wakeup descriptor": """
r, w = os.pipe()
os.set_blocking(r, False)
os.set_blocking(w, False)
signal.set_wakeup_fd(w)
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(is_main()))
send(signal.SIGUSR1, 20, lambda: len(got))
say = [got, list(os.read(r, 1000))]
""",
    "a full wakeup descriptor": """
r, w = os.pipe()
os.set_blocking(w, False)
try:
    while True:
        os.write(w, b"x" * 4096)
except BlockingIOError:
    pass
signal.set_wakeup_fd(w)
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(is_main()))
send(signal.SIGUSR1, 5, lambda: len(got))
say = [got, signal.set_wakeup_fd(-1) == w]
""",
    "signals of an event loop": """
import asyncio

async def main():
    loop = asyncio.get_event_loop()
    got = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: got.append(is_main()))
    for n in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
        while len(got) <= n:
            await asyncio.sleep(0.001)
    return got

say = asyncio.new_event_loop().run_until_complete(main())
""",
    "a traceback that is asked for": """
faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
os.kill(os.getpid(), signal.SIGUSR1)
say = "written"
""",
    "a traceback later": """
def sleep():
    time.sleep(1)

faulthandler.dump_traceback_later(0.3, file=sys.stderr)
sleep()
say = "slept"
""",
    "a crash with a fault handler": """
faulthandler.enable()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(0.1)
ctypes.string_at(0)
""",
    "an abort with a fault handler": """
faulthandler.enable()
os.abort()
""",
    "a handler for SIGSEGV": """
got = []
signal.signal(signal.SIGSEGV, lambda *_: got.append(is_main()))
send(signal.SIGSEGV, 20, lambda: len(got))
say = got
""",
    "an interrupt": """
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    time.sleep(30)
except KeyboardInterrupt:
    say = "interrupted"
""",
}
SAY = "print(json.dumps(say), flush=True)\n"
# While the agent's log thread speaks, or waits for the GIL to, it is one of Python's.
SPEAKS = re.compile(
    r"Thread \S+ \(most recent call first\):\n"
    r"  (?:<no Python frame>\n|(?:File .*\n  )*File .*googlecloudprofiler.*\n)\n"
)


def run(launch, service, body, enabled):
    program = launch(
        PROGRAM.replace("{body}", body + SAY),
        service=service, GOOGLE_CLOUD_PROFILER_ENABLED=str(enabled).lower(),
    )
    assert program.line() == "started"
    if enabled:
        service.wait_updated(1)
    program.say()
    status = program.end()
    # Addresses differ from run to run.
    words = re.sub("0x[0-9a-f]+|fd: [0-9]+", "...", program.stderr())
    words = SPEAKS.sub("", words)
    return status, program.rest(), words.replace(program.path, "program.py")


@pytest.mark.parametrize("what", list(BODIES))
def test_it_is_as_without_the_agent(launch, what):
    with FakeService() as service:
        ask(service, 0.2, 0.2)
        without = run(launch, service, BODIES[what], False)
        assert service.created == []
        assert run(launch, service, BODIES[what], True) == without
    status, said, words = without
    if "crash" in what:
        assert status == -signal.SIGSEGV and "Segmentation fault" in words
    elif "abort" in what:
        assert status == -signal.SIGABRT and "Aborted" in words
    else:
        assert status == 0, words
        assert json.loads(said[-1])
