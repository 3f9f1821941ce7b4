"""What stacks show of quick calls on every Python that is here (see
tests/interpreters): edges.py run by each, and its last line. Prints Markdown.

Usage: everywhere.py [--seconds S] [--write PAGE]
"""

import argparse
import os
import subprocess
import sys
import tempfile

import edges
import googlecloudprofiler
import pages

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interpreters"))

import find  # noqa: E402


def last_row(python, site, seconds):
    out = subprocess.check_output(
        [python.path, "-W", "ignore", os.path.join(HERE, "edges.py"), str(seconds)],
        stdin=subprocess.DEVNULL,
        universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE="1"),
    )
    cells = out.splitlines()[-1].strip("| ").split(" | ")
    return [python.label, *cells[1:]]


def rows(seconds):
    package = os.path.dirname(os.path.abspath(googlecloudprofiler.__file__))
    with tempfile.TemporaryDirectory() as site:
        os.symlink(package, os.path.join(site, "googlecloudprofiler"))
        for python in find.pythons():
            if python.served:
                yield last_row(python, site, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--write")
    options = parser.parse_args()
    lines = [
        pages.machine(os.getloadavg()[0]),
        "- `tests/bench/everywhere.py --seconds %g`: so long on each of %d workloads, "
        "on one core and on all" % (options.seconds, len(edges.WORKLOADS)),
        "",
        *pages.table(["Python", *edges.HEAD[1:]], rows(options.seconds)),
    ]
    pages.publish(options.write, "everywhere.py", lines)


if __name__ == "__main__":
    main()
