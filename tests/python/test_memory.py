"""What the sampler works on is large, and none of it stays in the program's memory: a
heap would keep what was once its own."""

PROGRAM = """
from googlecloudprofiler import _native, _selftest

def anonymous_kb():
    with open("/proc/self/smaps_rollup") as file:
        rows = dict(line.split(":", 1) for line in file)
        return int(rows["Anonymous"].split()[0])

before = anonymous_kb()
%s
print(anonymous_kb() - before)
"""


def test_the_selftest_leaves_nothing(run_python):
    done = run_python(PROGRAM % "_selftest.run(_native.walk_self)")
    assert int(done.stdout) < 1024


def test_windows_leave_nothing(run_python):
    windows = "for _ in range(4): _native.collect('WALL', 100000000, 10000000)"
    done = run_python(PROGRAM % windows)
    assert int(done.stdout) < 1536
