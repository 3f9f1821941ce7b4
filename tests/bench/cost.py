"""What sampling costs: the profiler's own CPU, as a share of one core, while it
collects CPU profiles. Prints Markdown.

Usage: cost.py [--seconds S] [--python PYTHON] [--only NAME,...]
               [--programs NAME,...] [--write PAGE]

It is what the process, and the profiler's if that is another, use beyond the program's
own threads; "nothing" is the same with no profiler. What a handler of signals takes
from a thread is the thread's, and not seen. An empty tick (a thread that only sleeps
and wakes) is measured, too, because most of ours is the wake-up itself.
"""

import argparse
import os
import random
import shutil
import tempfile
import time

import charts
import inside
import pages
import peers
import session

PERIOD_S = 0.01
# A window of an agent.
AGENT_S = 10
# (program of known.py, rates)
RUNS = [
    ("nothing", 100),
    ("1 busy", 100),
    ("8 busy", 100),
    ("64 busy", 100),
    ("1000 idle", 100),
    ("500 deep", 100),
    ("8 busy", 1000),
]


def heading(run):
    name, hz = run
    return name if hz == 100 else "%s, %d Hz" % (name, hz)


def empty_share(seconds):
    """Per cent of a core that waking up at the same rate takes by itself."""
    begin = time.thread_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(PERIOD_S)
    return 100 * (time.thread_time() - begin) / seconds


def own_share(contender, run, seconds, window_s=None):
    """Per cent of a core while it sampled, or why there is none."""
    folder = tempfile.mkdtemp()
    name, hz = run
    try:
        with session.Session(contender, folder, os.sched_getaffinity(0)) as s:
            s.begin("CPU", hz, seconds)
            began, before = time.monotonic(), s.outside_cpu_s()
            said = s.ask("run", name, seconds)
            # From outside, the program's threads are seen to start as well.
            outside = (s.outside_cpu_s() - before) / (time.monotonic() - began)
            s.end()
            return 100 * (said["own"] / (window_s or said["elapsed"]) + outside)
    except session.Died as e:
        return str(e)
    finally:
        shutil.rmtree(folder)


def within_budget(options):
    """Ours, as an agent collects."""
    return [c._replace(inside="ours within its budget")
            for c in options.contenders if c.inside == "ours"]


def agent_runs(options):
    return [run for run in options.runs if run[1] == 100]


def findings(options):
    """{(contender, run): per cent, or why there is none}."""
    found = {
        (contender, run): own_share(contender, run, options.seconds)
        for run in options.runs
        for contender in random.sample(options.contenders, len(options.contenders))
    }
    for contender in within_budget(options):
        for run in agent_runs(options):
            found[contender, run] = own_share(
                contender, run, AGENT_S + inside.AROUND_S, AGENT_S)
    return found


def cell(value):
    return value if isinstance(value, str) else "%.2f" % value


def lines_of(found, options):
    words = "%g s of each, on all CPUs; an empty tick (in Python) takes %.2f" % (
        options.seconds, empty_share(options.seconds))
    yield from peers.circumstances(options, words)
    yield ""
    yield from pages.table(
        ["% of a core", *map(heading, options.runs)],
        [[c.label(), *(cell(found[c, run]) for run in options.runs)]
         for c in options.contenders])
    yield ""
    yield ("The same of ours within the budget that an agent has, for a window of %g s "
           "in a program that runs longer:" % AGENT_S)
    yield ""
    yield from pages.table(
        ["% of a core", *map(heading, agent_runs(options))],
        [[c.label(), *(cell(found[c, run]) for run in agent_runs(options))]
         for c in within_budget(options)])


def draw(found, options, path):
    groups = [
        (heading(run), [(c.label(), max(found[c, run], 0)) for c in options.contenders
                        if not isinstance(found[c, run], str)])
        for run in options.runs]
    charts.bars(path, "Own CPU, % of a core", groups)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1)
    peers.add_arguments(parser)
    options = parser.parse_args()
    peers.choose(options)
    options.contenders.insert(0, peers.nothing(options.python))
    options.runs = [
        r for r in RUNS if not options.programs or r[0] in options.programs]
    return options


def main():
    options = arguments()
    found = findings(options)
    pages.publish(
        options.write, "cost.py", list(lines_of(found, options)),
        lambda path: draw(found, options, path), "cost.svg")


if __name__ == "__main__":
    main()
