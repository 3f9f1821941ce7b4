"""Let libFuzzer look for inputs that break a decoder. `make fuzz` builds the targets.

Usage: run.py FOLDER-OF-TARGETS SECONDS [DECODER]...

Each target runs for so many seconds. Inputs that reach more are kept for the next run
in build/fuzz/inputs/, and those that break something in build/fuzz/found/: put one into
corpus/, under a name that tells, and `make test` has it, too.
"""

import glob
import os
import subprocess
import sys

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
# Of one input; all decoders have limits that are far below.
MAX_SECONDS = 10
MAX_MEGABYTES = 2048


def look(program, decoder, seconds, folder):
    """Whether the target lived through it."""
    inputs = os.path.join(folder, "inputs", decoder)
    found = os.path.join(folder, "found", decoder + "-")
    os.makedirs(inputs, exist_ok=True)
    os.makedirs(os.path.dirname(found), exist_ok=True)
    log = os.path.join(folder, decoder + ".log")
    with open(log, "wb") as output:
        done = subprocess.run(
            [
                program,
                "-max_total_time=%d" % seconds,
                "-timeout=%d" % MAX_SECONDS,
                "-rss_limit_mb=%d" % MAX_MEGABYTES,
                "-max_len=8192",
                "-artifact_prefix=" + found,
                "-print_final_stats=1",
                inputs,
                os.path.join(CORPUS, decoder),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    with open(log, encoding="utf-8", errors="replace") as output:
        lines = output.read().splitlines()
    runs = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
    verdict = "FAULT, see " + log if done.returncode else "ok"
    print("%-12s %10s inputs: %s" % (decoder, runs[-1] if runs else "?", verdict),
          flush=True)
    return done.returncode == 0


def main():
    build, seconds, *only = sys.argv[1:]
    folder = os.path.join("build", "fuzz")
    programs = sorted(glob.glob(os.path.join(build, "f-*")))
    good = []
    for program in programs:
        decoder = os.path.basename(program)[2:]
        if os.access(program, os.X_OK) and (not only or decoder in only):
            good.append(look(program, decoder, int(seconds), folder))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
