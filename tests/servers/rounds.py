"""Rounds: a service that always wants a profile, and knows whose it gets."""

import collections
import threading

from fake_service import FakeService, assign, eventually
from profiles import Read

# Of a profile; a worker that gets many requests has a dozen samples in it.
SECONDS = 0.3


class Rounds(FakeService):
    """Asks each process for CPU and WALL in turn; a profile's name ends with the round
    of its process that it is from."""

    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()
        self._asked = collections.Counter()  # by peer: each process has its connection
        self.create_default = self._assign

    def _assign(self, call):
        with self._lock:
            self._asked[call.peer] += 1
            nr = self._asked[call.peer]
        kind = "CPU" if nr % 2 else "WALL"
        return assign(kind, SECONDS, "projects/local/profiles/%d" % nr)(call)

    def profiles(self):
        """The profiles of each process, by its number, in their order."""
        found = collections.defaultdict(list)
        for call in list(self.updated):
            found[int(call.request.profile.labels["process"])].append(
                call.request.profile
            )
        return found

    def wait_profiled(self, pids):
        """Wait until each of the processes has given a profile, by itself: with a
        connection of its own, and in the first two rounds of it."""
        eventually(lambda: set(pids) <= set(self.profiles()), "profiles of %s" % pids)
        found = self.profiles()
        for pid in pids:
            assert int(found[pid][0].name.rpartition("/")[2]) <= 2
        peers = collections.defaultdict(set)
        for call in list(self.updated):
            peers[call.peer].add(call.request.profile.labels["process"])
        assert all(len(pids) == 1 for pids in peers.values()), peers

    def wait_shown(self, pids, function):
        """Wait until a profile of each of the processes has a function in it."""
        eventually(
            lambda: all(self._shows(pid, function) for pid in pids),
            "%s in profiles of %s" % (function, pids),
        )

    def wait_more(self, pids):
        """Wait until each of the processes has given one more profile than it has."""
        before = self.profiles()
        eventually(
            lambda: all(len(self.profiles()[p]) > len(before[p]) for p in pids),
            "more profiles of %s" % pids,
        )

    def _shows(self, pid, function):
        return any(
            Read(p.profile_bytes).share_with(lambda f: f[0].endswith(function))
            for p in self.profiles()[pid]
        )
