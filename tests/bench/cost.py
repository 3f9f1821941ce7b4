"""What the sampler costs: its own CPU, as a share of one core, while it collects.

Usage: cost.py [SECONDS]. An empty tick (a thread that only sleeps and wakes) is
measured in the same run, because most of the cost is the wake-up itself.
"""

import sys
import threading
import time

from googlecloudprofiler import _native

PERIOD_NS = 10000000
DEPTH = 50


def run_deep(work, depth):
    if depth:
        run_deep(work, depth - 1)
    else:
        work()


def own_share(busy, idle, seconds):
    """Per cent of a core, as the profile's comment says."""
    stop = threading.Event()
    flag = []

    def spin():
        while not flag:
            pass

    works = [(spin, DEPTH)] * busy + [(stop.wait, 20)] * idle
    threads = [threading.Thread(target=run_deep, args=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        data = _native.collect("CPU", int(seconds * 1e9), PERIOD_NS)
    finally:
        flag.append(True)
        stop.set()
        for thread in threads:
            thread.join()
    comment = _native.decode_profile(data)["comments"][0]
    return float(comment.split("(")[1].split(" ")[0])


def empty_share(seconds):
    """Per cent of a core that waking up at the same rate takes by itself."""
    begin = time.thread_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(PERIOD_NS / 1e9)
    return 100 * (time.thread_time() - begin) / seconds


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    threading.stack_size(256 * 1024)
    print("%-24s %6.2f %% of a core" % ("empty tick (in Python)", empty_share(seconds)))
    for busy, idle in ((0, 0), (1, 0), (8, 0), (64, 0), (1, 1000)):
        print("%-24s %6.2f %% of a core" % (
            "%d busy, %d idle" % (busy, idle), own_share(busy, idle, seconds)))


if __name__ == "__main__":
    main()
