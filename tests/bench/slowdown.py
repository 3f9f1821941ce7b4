"""How much longer programs take under each profiler. Prints Markdown.

Usage: slowdown.py [--pairs N] [--seconds S] [--python PYTHON] [--only NAME,...]
                   [--programs NAME,...] [--write PAGE]

In each pair a fresh process does the same amount of work with the profiler, at 100 Hz,
and without it, in an order that chance decides. What is told is the mean of the
logarithms of the ratios, with the 95 % interval that a bootstrap over the pairs gives.
"nothing" shows what the machine does by itself.
"""

import argparse
import contextlib
import math
import os
import random
import shutil
import tempfile

import charts
import chores
import pages
import peers
import session

HZ = 100
DRAWS = 4000


def interval(ratios):
    """(mean, least, most) of ratios, in per cent more."""
    logs = [math.log(r) for r in ratios]
    means = sorted(
        sum(random.choices(logs, k=len(logs))) / len(logs) for _ in range(DRAWS))
    ends = means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS)]
    return tuple(
        100 * math.expm1(v) for v in (sum(logs) / len(logs), *ends))


def amount_for(python, chore, seconds):
    """How much of a chore takes so long."""
    with fresh(peers.nothing(python)) as s:
        amount = 1
        while True:
            took = s.ask("do", chore, amount)
            if took >= seconds / 2:
                return max(1, round(amount * seconds / took))
            amount *= 2


@contextlib.contextmanager
def fresh(contender):
    folder = tempfile.mkdtemp()
    try:
        with session.Session(contender, folder, os.sched_getaffinity(0)) as s:
            yield s
    finally:
        shutil.rmtree(folder)


def ratio(contender, chore, amount, seconds):
    """Of a pair, with to without."""
    with fresh(contender) as s:
        s.ask("do", chore, max(1, amount // 4))  # it is warm then
        took = {}
        for on in random.sample((False, True), 2):
            if on:
                s.begin("CPU", HZ, 2 * seconds)  # longer than the work may take
            took[on] = s.ask("do", chore, amount)
            if on:
                s.end()
        return took[True] / took[False]


def findings(options):
    """{(contender, chore): (mean, least, most), or why there is none}."""
    found = {}
    for chore in options.chores:
        amount = amount_for(options.python, chore, options.seconds)
        ratios = {contender: [] for contender in options.contenders}
        for _ in range(options.pairs):
            for contender in random.sample(options.contenders, len(ratios)):
                try:
                    ratios[contender].append(
                        ratio(contender, chore, amount, options.seconds))
                except session.Died as e:
                    found[contender, chore] = str(e)
        for contender in options.contenders:
            found.setdefault((contender, chore), interval(ratios[contender]))
    return found


def cell(value):
    return value if isinstance(value, str) else "%+.1f (%+.1f to %+.1f)" % value


def lines_of(found, options):
    words = "%d pairs of %g s for each; per cent more time, with the 95 %% interval" % (
        options.pairs, options.seconds)
    yield from peers.circumstances(options, words)
    yield ""
    yield from pages.table(
        ["", *options.chores],
        [[c.label(), *(cell(found[c, chore]) for chore in options.chores)]
         for c in options.contenders])


def draw(found, options, path):
    groups = [
        (chore, [
            (c.label(), max(found[c, chore][0], 0), found[c, chore][1:])
            for c in options.contenders if not isinstance(found[c, chore], str)])
        for chore in options.chores]
    charts.bars(path, "Slow-down, per cent, with its 95 % interval", groups)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    peers.add_arguments(parser)
    options = parser.parse_args()
    peers.choose(options)
    options.contenders.insert(0, peers.nothing(options.python))
    options.chores = [
        c for c in chores.CHORES if not options.programs or c in options.programs]
    return options


def main():
    options = arguments()
    found = findings(options)
    pages.publish(
        options.write, "slowdown.py", list(lines_of(found, options)),
        lambda path: draw(found, options, path), "slowdown.svg")


if __name__ == "__main__":
    main()
