"""What arrived once each fault was over, in the eyes of Google's own reader. It runs
after all others of this folder, of which it is no part: see conftest.py."""

import pytest
import trial
from profiles import googles_pprof


def test_googles_pprof_reads_what_came_after_each_fault(tmp_path):
    if not trial.recovered:
        pytest.skip("no fault was run before")
    files = []
    for i, data in enumerate(trial.recovered):
        files.append(tmp_path / ("%d.pb.gz" % i))
        files[-1].write_bytes(data)
    # It merges them, which it can only where it understands them all.
    said = googles_pprof(tmp_path, "-top", "-unit=ns", "-nodefraction=0", *files)
    (total,) = [row for row in said.splitlines() if row.startswith("Showing")]
    assert int(total.split(" of ")[1].split("ns")[0]) > 0, total


test_googles_pprof_reads_what_came_after_each_fault.alone = True
