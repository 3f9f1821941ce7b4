"""What /proc tells of a process from outside, which costs the process nothing."""

import collections
import os

# Bytes: what is its alone, what of this is of no file, and what is resident.
Memory = collections.namedtuple("Memory", "private anonymous rss")


def _rows(path):
    with open(path, encoding="ascii", errors="replace") as file:
        pairs = (line.partition(":") for line in file)
        return {key: value.strip() for key, _, value in pairs}


def _tasks(pid):
    """Pairs (name, folder) of its threads."""
    folder = "/proc/%d/task" % pid
    for tid in os.listdir(folder):
        path = os.path.join(folder, tid)
        with open(os.path.join(path, "comm"), encoding="utf-8") as file:
            yield file.read().strip(), path


def threads(pid):
    """How many threads there are of each name."""
    return collections.Counter(name for name, _ in _tasks(pid))


def wakeups(pid):
    """How often the threads of each name have let go of a CPU to wait: as often were
    they woken."""
    found = collections.Counter()
    for name, path in _tasks(pid):
        rows = _rows(os.path.join(path, "status"))
        found[name] += int(rows["voluntary_ctxt_switches"])
    return found


def cpu_seconds(pid):
    """The CPU time of all its threads, to the nanosecond."""
    total = 0
    for _, path in _tasks(pid):
        with open(os.path.join(path, "schedstat"), encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def memory(pid):
    """Its Memory. A page of a file is private as long as nobody else has mapped it."""
    rows = _rows("/proc/%d/smaps_rollup" % pid)
    kilobytes = {k: int(v.split()[0]) for k, v in rows.items() if v.endswith(" kB")}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    anonymous = kilobytes["Anonymous"]
    return Memory(1024 * private, 1024 * anonymous, 1024 * kilobytes["Rss"])
