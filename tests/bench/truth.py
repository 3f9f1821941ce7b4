"""Profiles beside what programs know of themselves: how wrong the shares are, and the
totals. Prints Markdown.

Usage: truth.py [--seconds S] [--rounds N] [--python PYTHON] [--only NAME,...]
                [--programs NAME,...] [--write PAGE]

Each profiler in turn has each program for so long, on one core and on two, at 100 Hz;
on one core, a profiler from outside is there too. What the rounds found is added up.
"""

import argparse
import collections
import os
import random
import shutil
import tempfile

import charts
import known
import pages
import peers
import session

HZ = 100
# For what is rare.
FINE_HZ = 1000

WORDS = {
    "steady": "steady shares",
    "bursts": "bursts of 0.1 to 0.6 ms",
    "sleepers": "1 ms of 10, in 6 threads",
    "held": "C that holds the GIL",
    "released": "C without the GIL",
}
SHARES = tuple(WORDS)
# (program, kind, rate), and what may be asked of it.
RUNS = [
    *((name, "CPU", HZ) for name in SHARES),
    ("sleepers", "WALL", HZ),
    ("tiny", "CPU", FINE_HZ),
    ("chains", "CPU", FINE_HZ),
]


def charged(stacks, names):
    """Seconds by the function of `names` that is nearest to the leaf."""
    found = collections.Counter()
    for stack, seconds in stacks:
        name = next((n for n in stack if n in names), None)
        if name:
            found[name] += seconds
    return found


def share_error(found, truth):
    """Half the sum of the errors of all shares, in points; None if none was found."""
    if not sum(found.values()):
        return None
    of_found, of_truth = (100 / sum(c.values()) for c in (found, truth))
    return sum(abs(of_found * found[n] - of_truth * truth[n]) for n in truth) / 2


def total_error(found, truth):
    """In per cent."""
    return 100 * (sum(found.values()) / sum(truth.values()) - 1)


def chance(truth, hz):
    """The share error that is to be expected of so many independent looks."""
    total = sum(truth.values())
    parts = [value / total for value in truth.values()]
    return 50 * sum((2 * p * (1 - p) / (3.1416 * total * hz)) ** 0.5 for p in parts)


def wrong_callers(stacks):
    """Per cent of the time in stacks with a callee under who never calls it."""
    total = wrong = 0
    for names, seconds in stacks:
        for callee, caller in zip(names, names[1:]):
            if callee in known.CALLERS:
                total += seconds
                if not caller.startswith("["):
                    wrong += seconds * (caller != known.CALLERS[callee])
    return 100 * wrong / total if total else None


class Finding:
    """What was found of one program on some cores, in all rounds."""

    def __init__(self):
        self.truth = collections.Counter()
        self.found = collections.Counter()
        self.stacks = []
        self.own_s = self.seconds = 0
        self.failure = None

    def add(self, truth, stacks, own_s, seconds):
        self.truth.update(truth)
        self.found.update(charged(stacks, truth))
        self.stacks += stacks
        self.own_s += own_s
        self.seconds += seconds


def measure(contender, run, cpus, seconds, finding):
    name, kind, hz = run
    folder = tempfile.mkdtemp()
    try:
        with session.Session(contender, folder, cpus) as s:
            s.begin(kind, hz, seconds)
            before = s.outside_cpu_s()
            said = s.ask("run", name, seconds)
            own = said["own"] + s.outside_cpu_s() - before
            s.end()
            finding.add(
                said[{"CPU": "cpu", "WALL": "wall"}[kind]], s.stacks(), own,
                said["elapsed"])
    except session.Died as e:
        finding.failure = str(e)
    finally:
        shutil.rmtree(folder)


def cores(run):
    """One CPU, and two if there are two: only these for what reading while the program
    runs on may get wrong."""
    all_of_them = sorted(os.sched_getaffinity(0))
    sets = [set(all_of_them[:1]), set(all_of_them[:2])][: len(all_of_them)]
    return sets[-1:] if run[2] == FINE_HZ else sets


def findings(options):
    """{(contender, run, how many cores): Finding}."""
    found = collections.defaultdict(Finding)
    for _ in range(options.rounds):
        for run in options.runs:
            for cpus in cores(run):
                turn = [c for c in options.contenders if run[1] in c.kinds]
                random.shuffle(turn)
                for contender in turn:
                    finding = found[contender, run, len(cpus)]
                    measure(contender, run, cpus, options.seconds, finding)
    return found


def cell(found, contender, run, what, digits):
    """What was found on one core and on two, as text."""
    texts = []
    for cpus in cores(run):
        finding = found.get((contender, run, len(cpus)))
        if finding is None:
            return ""
        value = what(finding) if finding.truth else None
        texts.append("%.*f" % (digits, value) if value is not None
                     else finding.failure or "none")
    return " / ".join(texts)


# Heading, run, what is computed of a Finding, digits.
Column = collections.namedtuple("Column", "head run what digits")


def of_shares(finding):
    return share_error(finding.found, finding.truth)


def of_total(finding):
    return total_error(finding.found, finding.truth)


def of_callees(finding):
    return share_error(
        charged(finding.stacks, known.RATIO), collections.Counter(known.RATIO))


def of_callers(finding):
    return wrong_callers(finding.stacks)


def of_cost(finding):
    return 100 * finding.own_s / finding.seconds


def by_program(what, digits):
    return [Column(WORDS[n], (n, "CPU", HZ), what, digits) for n in SHARES]


TABLES = {
    "Share error, points": by_program(of_shares, 1),
    "Error of the CPU total, %": by_program(of_total, 1),
    "Own CPU, % of a core": by_program(of_cost, 2),
    "The rest": [
        Column("wall total, %", ("sleepers", "WALL", HZ), of_total, 2),
        Column("tiny callees, points", ("tiny", "CPU", FINE_HZ), of_callees, 1),
        Column("wrong caller, %", ("chains", "CPU", FINE_HZ), of_callers, 3),
    ],
}


def tables(found, options):
    for title, columns in TABLES.items():
        columns = [c for c in columns if c.run in options.runs]
        if not columns:
            continue
        rows = [
            [contender.label(),
             *(cell(found, contender, c.run, c.what, c.digits) for c in columns)]
            for contender in options.contenders
        ]
        if title.startswith("Share"):
            rows.append(["chance alone", *(expected(found, c.run) for c in columns)])
        yield from ["", "**%s**" % title, ""]
        yield from pages.table(["", *(c.head for c in columns)], rows)


def expected(found, run):
    texts = []
    for cpus in cores(run):
        truths = [f.truth for (_, r, nr), f in found.items()
                  if (r, nr) == (run, len(cpus)) and f.truth]
        texts.append("%.1f" % chance(truths[0], run[2]) if truths else "")
    return " / ".join(texts)


def draw(found, options, path):
    """A picture of the share errors, the worse of one core and two."""
    groups = []
    for column in TABLES["Share error, points"]:
        bars = []
        for contender in options.contenders:
            values = [of_shares(f) for (c, r, _), f in found.items()
                      if (c, r) == (contender, column.run) and f.truth]
            if values and None not in values:
                bars.append((contender.label(), max(values)))
        groups.append((column.head, bars))
    charts.bars(path, "Share error, points (the worse of one core and two)", groups)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    peers.add_arguments(parser)
    options = parser.parse_args()
    peers.choose(options)
    options.runs = [
        r for r in RUNS if not options.programs or r[0] in options.programs]
    return options


def main():
    options = arguments()
    found = findings(options)
    words = "%d times %g s of each program, on one core / on two" % (
        options.rounds, options.seconds)
    lines = [*peers.circumstances(options, words), *tables(found, options)]
    pages.publish(
        options.write, "truth.py", lines,
        lambda path: draw(found, options, path), "shares.svg")


if __name__ == "__main__":
    main()
