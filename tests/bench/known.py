"""Programs that know their own truth: each thread measures by its own clocks what it
spends in which function. PROGRAMS has them by name; run() is one run of one."""

import collections
import hashlib
import random
import select
import threading
import time
import zlib

BLOCK = bytes(range(256)) * 4096
# Of tiny's callees.
RATIO = {"six": 6, "three": 3, "one": 1}
# Who alone calls whom in chains.
CALLERS = {"left_leaf": "left", "right_leaf": "right"}


class Meter:
    """What one thread spent, in seconds of CPU and of wall time, by function."""

    def __init__(self):
        self.cpu = collections.Counter()
        self.wall = collections.Counter()
        self.until = 0

    @property
    def left_s(self):
        return max(self.until - time.monotonic(), 0)

    def run(self, function, *arguments):
        wall, cpu = time.perf_counter(), time.thread_time()
        function(*arguments)
        self.cpu[function.__name__] += time.thread_time() - cpu
        self.wall[function.__name__] += time.perf_counter() - wall


def at_work(body, meter):
    """What is not in a function that is measured is here."""
    wall, cpu = time.perf_counter(), time.thread_time()
    while meter.left_s:
        body(meter)
    rest = time.thread_time() - cpu - sum(meter.cpu.values())
    meter.cpu["at_work"] = max(rest, 0)
    rest = time.perf_counter() - wall - sum(meter.wall.values())
    meter.wall["at_work"] = max(rest, 0)


def burn(seconds):
    n = 1
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(100):
            n = n * 31 % 1000003


def sixty(seconds):
    burn(seconds)


def thirty(seconds):
    burn(seconds)


def ten(seconds):
    burn(seconds)


def steady(meter):
    # Of no fixed length, so that no rate of looking falls into step with them.
    for function, seconds in ((sixty, 0.024), (thirty, 0.012), (ten, 0.004)):
        meter.run(function, seconds * random.uniform(0.5, 1.5))


def bursts(meter):
    function, seconds = random.choice(((sixty, 6e-4), (thirty, 3e-4), (ten, 1e-4)))
    meter.run(function, seconds)


def blocked(seconds):
    select.select([], [], [], seconds)


def waits(meter):
    meter.run(blocked, meter.left_s)


def compute(seconds):
    burn(seconds)


def pause(seconds):
    time.sleep(seconds)


def sleeper(meter):
    meter.run(compute, 1e-3)
    meter.run(pause, 9e-3)


def held(count):
    sum(range(count))


def holder(meter):
    meter.run(held, random.randrange(1000000, 3000000))
    meter.run(ten, 0.01)


def beside(meter):
    meter.run(thirty, 0.005)


def digest():
    hashlib.sha256(BLOCK).digest()


def deflate():
    zlib.compress(BLOCK, 6)


def digests(meter):
    meter.run(digest)


def deflates(meter):
    meter.run(deflate)


def six():
    return 1


def three():
    return 1


def one():
    return 1


def calls():
    for _ in range(1000):
        six(), six(), three(), six(), one(), six(), three(), six(), three(), six()


def tiny(meter):
    meter.run(calls)


def left_leaf():
    return 1


def left():
    return left_leaf()


def right_leaf():
    return 1


def right():
    return right_leaf()


def swings():
    for _ in range(1000):
        left()
        right()


def chains(meter):
    meter.run(swings)


def recurse(depth, function, *arguments):
    if depth:
        recurse(depth - 1, function, *arguments)
    else:
        function(*arguments)


def spins(depth):
    return lambda meter: meter.run(recurse, depth, burn, 1e-3)


def idles(depth):
    return lambda meter: meter.run(recurse, depth, blocked, meter.left_s)


# What each thread of a program does again and again.
PROGRAMS = {
    "steady": [steady],
    "bursts": [bursts, waits, waits, waits, waits],
    "sleepers": [sleeper] * 6,
    "held": [holder, beside],
    "released": [digests, deflates, beside],
    "tiny": [tiny],
    "chains": [chains],
    "1 busy": [spins(50)],
    "8 busy": [spins(50)] * 8,
    "64 busy": [spins(50)] * 64,
    "1000 idle": [idles(20)] * 1000 + [spins(50)],
    "500 deep": [spins(500)],
    "nothing": [waits],
}


def run(name, seconds):
    """Run a program for so long: {"cpu": {function: seconds}, "wall": the same,
    "own": CPU seconds of the process beyond those of the program's threads,
    "elapsed": seconds, some more where threads wait for their last turn}.

    CPU that a signal handler takes from a thread counts as the thread's.
    """
    meters = [Meter() for _ in PROGRAMS[name]]
    go, done = threading.Event(), threading.Event()
    at_end = threading.Barrier(len(meters) + 1)

    def thread(body, meter):
        go.wait()
        at_work(body, meter)
        at_end.wait()
        done.wait()

    threads = [
        threading.Thread(target=thread, args=pair)
        for pair in zip(PROGRAMS[name], meters)
    ]
    for one_of_them in threads:
        one_of_them.start()
    before = not_of(threads)
    begin = time.monotonic()
    for meter in meters:
        meter.until = begin + seconds
    go.set()
    at_end.wait()
    own = not_of(threads) - before
    elapsed = time.monotonic() - begin
    done.set()
    for one_of_them in threads:
        one_of_them.join()
    return {
        "cpu": sum((m.cpu for m in meters), collections.Counter()),
        "wall": sum((m.wall for m in meters), collections.Counter()),
        "own": own,
        "elapsed": elapsed,
    }


def not_of(threads):
    """CPU seconds of the process that neither these threads used nor this one."""
    clocks = [time.pthread_getcpuclockid(t.ident) for t in threads]
    theirs = sum(map(time.clock_gettime, clocks))
    return time.process_time() - time.thread_time() - theirs
