"""What it takes to write a profile, and what memory a window takes. Prints Markdown.

Usage: encoding.py [--write PAGE]

Threads wait, each in functions of its own, so that a window of a second has as many
stacks; what collecting takes beyond the second is the encoding and the last look. Each
number of stacks has a process of its own.
"""

import argparse
import os
import subprocess
import sys
import threading
import time

import pages
import proc

NUMBERS = (10, 100, 1000, 4000)
DEPTH = 24
WINDOW_S = 1
ROUNDS = 5


def chain(i, wait):
    """A function that calls DEPTH others, which nobody else does, and then waits."""
    text = "".join(
        "def f_%d_%d():\n    f_%d_%d()\n" % (i, depth, i, depth + 1)
        for depth in range(DEPTH))
    space = {"f_%d_%d" % (i, DEPTH): wait}
    exec(compile(text, "module_%d.py" % i, "exec"), space)
    return space["f_%d_0" % i]


def measure(nr):
    """Print milliseconds, bytes, stacks, and bytes of memory that a window takes."""
    from googlecloudprofiler import _native

    threading.stack_size(256 << 10)
    end = threading.Event()
    for i in range(nr):
        threading.Thread(target=chain(i, end.wait), daemon=True).start()
    time.sleep(0.5)
    before = proc.memory(os.getpid()).anonymous
    within = []
    looking = threading.Timer(
        0.9 * WINDOW_S, lambda: within.append(proc.memory(os.getpid()).anonymous))
    begin = time.monotonic()
    looking.start()
    data = _native.collect("WALL", int(WINDOW_S * 1e9), 10000000)
    took = time.monotonic() - begin - WINDOW_S
    looking.join()
    stacks = len(_native.decode_profile(data)["samples"])
    print(1e3 * took, len(data), stacks, within[0] - before)
    sys.stdout.flush()
    os._exit(0)


def rows():
    for nr in NUMBERS:
        told = []
        for _ in range(ROUNDS):
            command = [sys.executable, __file__, "--threads", str(nr)]
            out = subprocess.check_output(command)
            told.append([float(word) for word in out.split()])
        took, size, stacks, memory = zip(*told)
        yield ["%d" % max(stacks), pages.with_spread(took, 1),
               pages.with_spread([s / 1e3 for s in size], 1),
               pages.with_spread([m / 1e6 for m in memory], 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write")
    options = parser.parse_args()
    if options.threads:
        measure(options.threads)
    lines = [
        pages.machine(os.getloadavg()[0]),
        "- %d windows of %g s each, at 100 Hz; %d frames and more" % (
            ROUNDS, WINDOW_S, DEPTH),
        "",
        *pages.table(
            ["stacks", "to encode, ms", "profile, kB", "memory of the window, MB"],
            rows()),
    ]
    pages.publish(options.write, "encoding.py", lines)


if __name__ == "__main__":
    main()
