"""Load: requests from threads, to a server whose answers begin with the number of the
process that they are from."""

import collections
import http.client
import socket
import threading

from fake_service import PATIENCE_S, eventually

THREADS = 4
# Between two requests of a thread: it leaves the machine some time for the others.
PAUSE_S = 0.005


class _Connection(http.client.HTTPConnection):
    def __init__(self, address):
        super().__init__("localhost", timeout=PATIENCE_S)
        self._address = address

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)


class Load:
    """Begins at once and lasts until the end of the block, or rest(). `served` counts
    the answers of each process, `failures` are those requests without one, once there
    was a first answer."""

    def __init__(self, server):
        self.served = collections.Counter()
        self.failures = []
        self._server = server
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.rest()

    def rest(self):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._end.wait(PAUSE_S):
            try:
                pid = self._ask()
            except (OSError, http.client.HTTPException) as e:
                if self.served:
                    self.failures.append(e)
            else:
                self.served[pid] += 1

    def _ask(self):
        connection = _Connection(self._server.address)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise http.client.HTTPException(body)
            return int(body.split()[0])
        finally:
            connection.close()

    def wait_served(self, nr, before=()):
        """The numbers of the processes that have answered, other than those `before`,
        once there are so many."""

        def served():
            self._server.check_alive()
            return set(self.served) - set(before)

        eventually(lambda: len(served()) >= nr, "answers of %d processes" % nr)
        return served()
