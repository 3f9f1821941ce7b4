"""A server with all its processes: started, looked at, ended."""

import contextlib
import glob
import os
import re
import signal
import subprocess
import time

from fake_service import PATIENCE_S, eventually
from program import SITE, clean_environment

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVERS = os.environ.get("CPROF_SERVERS")
EXAMPLES = os.path.join(ROOT, "examples")


def installed(command):
    return os.path.join(os.path.abspath(SERVERS), "bin", command)


class Server:
    """It runs in a folder of its own, where it finds the examples, and listens on the
    Unix socket `address`, where it is told so. `pid` is its first process: the
    master."""

    def __init__(self, argv, folder, environ):
        self.folder = folder
        self.address = str(folder / "socket")
        self._log = str(folder / "log")
        own = {
            "PYTHONPATH": os.pathsep.join([SITE, EXAMPLES]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(folder),
        }
        with open(self._log, "wb") as log:
            self._child = subprocess.Popen(
                [a.replace("{address}", self.address) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean_environment(folder), **own, **environ},
                cwd=str(folder),
                start_new_session=True,
            )
        self.pid = self._child.pid

    def children(self):
        """The numbers of the processes that the master has forked and that live."""
        found = set()
        # Each thread has its own.
        for path in glob.glob("/proc/%d/task/*/children" % self.pid):
            with open(path, encoding="ascii") as file:
                found |= {int(pid) for pid in file.read().split()}
        return found

    def check_alive(self):
        assert self._child.poll() is None, self.log()

    def end(self, number=signal.SIGTERM):
        """Send a signal; (its exit status, the seconds that it took)."""
        begin = time.monotonic()
        self._child.send_signal(number)
        return self.wait(), time.monotonic() - begin

    def wait(self):
        """Its exit status, once it has ended, and none of its children is left."""
        try:
            status = self._child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("it does not end\n" + self.log()) from None
        # multiprocessing's resource tracker ends a moment later.
        eventually(self._is_gone, "the end of all processes", 10)
        return status

    def _is_gone(self):
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def log(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def words(self):
        """The lines of its log, as a set, without numbers, which differ."""
        lines = self.log().splitlines()
        return {re.sub(r"0x[0-9a-f]+|[\d.]+", "#", line) for line in lines}

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait(PATIENCE_S)
