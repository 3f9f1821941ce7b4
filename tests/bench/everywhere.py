"""Impossible callers on every Python that is here (see tests/interpreters): edges.py
run by each, and its last line. Usage: everywhere.py [SECONDS [HZ]]
"""

import os
import subprocess
import sys
import tempfile

import googlecloudprofiler

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interpreters"))

import find  # noqa: E402


def main():
    package = os.path.dirname(os.path.abspath(googlecloudprofiler.__file__))
    print("%-14s %-14s %8s %12s %10s %10s" % (
        "Python", "", "stacks", "impossible", "unsettled", "code gone"))
    with tempfile.TemporaryDirectory() as site:
        os.symlink(package, os.path.join(site, "googlecloudprofiler"))
        for python in find.pythons():
            if not python.served:
                continue
            done = subprocess.run(
                [python.path, "-W", "ignore", os.path.join(HERE, "edges.py"),
                 *sys.argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                universal_newlines=True,
                env=dict(os.environ, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE="1"),
                check=True,
            )
            print("%-14s %s" % (python.label, done.stdout.splitlines()[-1]), flush=True)


if __name__ == "__main__":
    main()
