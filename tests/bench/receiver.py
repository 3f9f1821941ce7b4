"""The part of Pyroscope's server that takes profiles."""

import gzip
import http.server
import threading


class Receiver:
    """Listens at `url` on loopback until it is closed."""

    def __init__(self):
        self._bodies = []
        bodies = self._bodies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *unused):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def save(self, path):
        """Write the profiles that came to files that begin with `path`."""
        profiles = [p for body in self._bodies for p in profiles_in(body)]
        for i, profile in enumerate(profiles):
            with open("%s-%d.pprof" % (path, i), "wb") as file:
                file.write(profile)


def profiles_in(request):
    """The pprof profiles of a push.v1.PushRequest."""
    for series in inner(request, 1):
        for sample in inner(series, 2):
            yield from inner(sample, 1)


def inner(message, wanted):
    """The values of a field of protobuf's that is a message or bytes, in a message that
    has no others than such."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        size, at = varint(message, at)
        if key & 7 != 2:
            raise ValueError("a field of another kind than bytes")
        if key >> 3 == wanted:
            yield message[at : at + size]
        at += size


def varint(data, at):
    """(the number there, what comes after it)."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at
