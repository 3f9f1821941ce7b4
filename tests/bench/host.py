"""The program that is profiled: it does what it reads, line by line, and answers each
line by one of JSON. Before the first it says "ready".

Usage: host.py PROFILER        one of inside.PROFILERS, or "nothing"

    begin KIND HZ SECONDS PATH    start the profiler; CPU or WALL
    end                           stop it; its output is complete
    run PROGRAM SECONDS           one of known.PROGRAMS; the answer is its truth
    do CHORE AMOUNT               one of chores.CHORES; the answer is how long it took
"""

import json
import sys
import threading
import time

import chores
import inside
import known


def do(name, amount):
    begin = time.perf_counter()
    chores.CHORES[name](int(amount))
    return time.perf_counter() - begin


def main():
    threading.stack_size(512 << 10)
    sys.setrecursionlimit(5000)
    profiler = inside.PROFILERS[sys.argv[1]]()
    verbs = {
        "begin": lambda kind, hz, seconds, path: profiler.begin(
            kind, int(hz), float(seconds), path
        ),
        "end": profiler.end,
        "run": lambda name, seconds: known.run(name, float(seconds)),
        "do": do,
    }
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        verb, *arguments = line.rstrip("\n").split("\t")
        print(json.dumps(verbs[verb](*arguments)), flush=True)


if __name__ == "__main__":
    main()
