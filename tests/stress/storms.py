"""Storms on every Python that is here, sampled at 10 kHz.

Usage: storms.py [SECONDS [STORM]...]

SECONDS are those of all storms together, less what Pythons take to start. One line for
each Python and storm: stacks seen, how many of them say that they are not whole, how
many show a call that is none, and faults. A fault is a crash, a hang, or a wrong name,
file or line. Of calls that are none a few are left over, as docs/sampling.md says; more
of them are a fault, too. Exit status 1 after any.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import googlecloudprofiler

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
INTERPRETERS = os.path.join(TESTS, "interpreters")
sys.path += [INTERPRETERS, os.path.join(TESTS, "python")]

from find import pythons  # noqa: E402
from test_sampler import EXEC_CHURN, GENERATOR_SWITCHES, RELOAD  # noqa: E402

HZ = 10000
HANG_S = 60
# Of a storm, at least: shorter ones are not in their stride.
LEAST_S = 0.4
# Share of stacks with a call that is none: what is promised of a program that does
# nothing but to change its stacks.
IMPOSSIBLE = 0.0005

# Programs of other tests that judge themselves, by name: text, arguments, and the
# seconds that they sample at a pace of 1.
TEXTS = {
    "exec": (EXEC_CHURN, ["100"], 3),
    "reload": (RELOAD, ["200"], 2),
    "switches": (GENERATOR_SWITCHES, [], 1),
}
# Those of weather.py, and their seconds.
WEATHER = [
    "recursion", "threads", "generators", "coroutines", "garbage", "frames", "imports",
    "interpreters", "all",
]
WEATHER_S = 1


class Fault(Exception):
    """What a storm must not come to."""


class Storms:
    def __init__(self, python, site, folder, seconds):
        self.python = python
        self.folder = folder
        self.seconds = max(seconds, LEAST_S)
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith("PYTHON")
        }
        self.environment.update(
            PYTHONPATH=site + ":" + INTERPRETERS,
            PYTHONDONTWRITEBYTECODE="1",
            CPROF_TEST_HZ=str(HZ),
        )

    def start(self, arguments, pace):
        return subprocess.Popen(
            [self.python.path, "-W", "ignore", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=dict(self.environment, CPROF_TEST_PACE=str(pace)),
            cwd=self.folder,
        )

    def say(self, arguments, pace):
        """What a program prints at its end."""
        child = self.start(arguments, pace)
        try:
            out, errors = child.communicate(timeout=3 * self.seconds + HANG_S)
        except subprocess.TimeoutExpired:
            # Its core tells where.
            child.send_signal(signal.SIGABRT)
            child.communicate()
            raise Fault("hangs") from None
        if child.returncode:
            raise Fault("ends with %d: %s" % (child.returncode, errors[-300:]))
        return json.loads(out.splitlines()[-1])

    def run(self, storm):
        """(stacks, not whole, impossible, faults); None where Python has no such."""
        if storm == "exits":
            return self.run_exits()
        if storm in WEATHER:
            path = os.path.join(HERE, "weather.py")
            seen = self.say([path, storm], self.seconds / WEATHER_S)
            if "skip" in seen:
                return None
            return seen["stacks"], seen["partial"], seen["impossible"], seen["bad"]
        text, arguments, seconds = TEXTS[storm]
        path = os.path.join(self.folder, storm + ".py")
        with open(os.path.join(INTERPRETERS, "child.py"), encoding="utf-8") as f:
            text = f.read() + text
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        seen = self.say([path, *arguments], self.seconds / seconds)
        if storm == "switches":
            impossible = sum(count for _, count in seen["bad"])
            return seen["total"], seen["total"] - seen["settled"], impossible, []
        partial = seen["gone"] + seen["late"]
        return seen["named"] + partial, partial, 0, seen["bad"]

    def run_exits(self):
        """Ends at moments that nobody chose, while windows are open."""
        path = os.path.join(HERE, "exits.py")
        end = time.monotonic() + self.seconds
        ends = 0
        ways = ["kill", "_exit", "exec"]
        if not self.python.debug:
            # By itself a debug build crashes now and then, where daemons outlive it.
            ways += ["exit", "raise"]
        while time.monotonic() < end:
            how = ways[ends % len(ways)]
            seed = str(random.randrange(1 << 30))
            child = self.start([path, how, seed], 1)
            try:
                _, errors = child.communicate(timeout=HANG_S)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGABRT)
                child.communicate()
                raise Fault("hangs: exits.py %s %s" % (how, seed)) from None
            want = {"raise": 1, "kill": -signal.SIGKILL}.get(how, 7)
            if child.returncode != want:
                raise Fault("exits.py %s %s ends with %d, not %d: %s"
                            % (how, seed, child.returncode, want, errors[-300:]))
            ends += 1
        return ends, 0, 0, []


def tell(python, storm, words):
    print("%-10s %-13s %s" % (python.label, storm, words), flush=True)


def weather(storms, storm):
    """Run a storm and tell of it; whether it was weathered."""
    try:
        seen = storms.run(storm)
    except Fault as fault:
        tell(storms.python, storm, "FAULT: %s" % fault)
        return False
    if seen is None:
        return True
    stacks, partial, impossible, bad = seen
    what = "ends" if storm == "exits" else "stacks"
    words = "%7d %s, %6d not whole, %3d impossible, %d faults" % (
        stacks, what, partial, impossible, len(bad))
    good = not bad and impossible <= max(2, IMPOSSIBLE * stacks)
    tell(storms.python, storm, words + ("" if good else " FAULT: %s" % bad[:3]))
    return good and stacks > 0


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    only = sys.argv[2:]
    package = os.path.dirname(os.path.abspath(googlecloudprofiler.__file__))
    served = [p for p in pythons() if p.served]
    names = only or [*WEATHER, *TEXTS, "exits"]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        site = os.path.join(folder, "site")
        os.mkdir(site)
        os.symlink(package, os.path.join(site, "googlecloudprofiler"))
        for python in served:
            storms = Storms(python, site, folder, seconds / len(served) / len(names))
            for storm in names:
                good &= weather(storms, storm)
    print("weathered" if good else "NOT weathered")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
