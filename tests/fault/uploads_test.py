"""What arrived once each fault was over, in the eyes of Google's own reader. It runs
after all others of this folder, of which it is no part: see conftest.py."""

import os
import shutil
import subprocess

import pytest
import trial


def test_googles_pprof_reads_what_came_after_each_fault(tmp_path):
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        pytest.skip("Go is not on this machine")
    if not trial.recovered:
        pytest.skip("no fault was run before")
    files = []
    for i, data in enumerate(trial.recovered):
        files.append(tmp_path / ("%d.pb.gz" % i))
        files[-1].write_bytes(data)
    # It merges them, which it can only where it understands them all.
    done = subprocess.run(
        [go, "tool", "pprof", "-top", "-unit=ns", "-nodefraction=0", *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=150,
        env=dict(os.environ, PPROF_TMPDIR=str(tmp_path), GOFLAGS="-mod=mod"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (total,) = [row for row in done.stdout.splitlines() if row.startswith("Showing")]
    assert int(total.split(" of ")[1].split("ns")[0]) > 0, total


test_googles_pprof_reads_what_came_after_each_fault.alone = True
