"""Servers that are scripted byte by byte, and proxies in front of a good one."""

import contextlib
import socket
import struct
import threading

HOST = "127.0.0.1"
# No script waits longer for a client that says nothing more.
SILENCE_S = 120


class Door:
    """A port whose visitors a script receives, script(socket), until mend(). From
    then on each is led through to the good service at `port`.

    `visitors` counts those that the script has met, `errors` keeps what a script
    raised other than OSError, which is how a visitor leaves.
    """

    def __init__(self, script, port=None):
        self.visitors = 0
        self.errors = []
        self._script = script
        self._port = port
        self._open = set()
        self._lock = threading.Lock()  # protects the fields above
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((HOST, 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self.endpoint = "http://%s:%d" % (HOST, self.port)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._listener.close()
        self._shut()

    def mend(self):
        """The fault is over, and so is every connection that it was on."""
        port = self._port
        with self._lock:
            self._script = lambda visitor: lead(visitor, port)
        self._shut()

    def change(self, script):
        """Another fault, for visitors to come; those who are here stay."""
        with self._lock:
            self._script = script

    def _shut(self):
        with self._lock:
            for visitor in self._open:
                with contextlib.suppress(OSError):
                    visitor.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        while True:
            try:
                visitor = self._listener.accept()[0]
            except OSError:
                return
            visitor.settimeout(SILENCE_S)
            with self._lock:
                self._open.add(visitor)
                self.visitors += 1
                script = self._script
            threading.Thread(
                target=self._receive, args=(visitor, script), daemon=True
            ).start()

    def _receive(self, visitor, script):
        try:
            script(visitor)
        except OSError:
            pass
        except Exception as e:
            self.errors.append(e)
        finally:
            with self._lock:
                self._open.discard(visitor)
            with contextlib.suppress(OSError):
                visitor.close()


def copy(source, sink, alter=None):
    """Copy until the source ends; `alter` yields the pieces to be sent."""
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                break
            for piece in alter(data) if alter else (data,):
                sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def lead(visitor, port, alter_in=None, alter_out=None):
    """Be a proxy between the visitor and a port of this machine."""
    visitor.settimeout(None)
    with socket.create_connection((HOST, port)) as service:
        there = threading.Thread(
            target=copy, args=(visitor, service, alter_in), daemon=True
        )
        there.start()
        copy(service, visitor, alter_out)
        there.join()


def reset(visitor):
    """Close with an RST instead of a FIN."""
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()


def read_some(visitor, nr):
    """Read `nr` bytes, or what there is when the visitor has gone."""
    data = b""
    while len(data) < nr:
        more = visitor.recv(nr - len(data))
        if not more:
            break
        data += more
    return data


def stay(visitor):
    """Take all that comes and say nothing, until the visitor leaves."""
    while visitor.recv(65536):
        pass
