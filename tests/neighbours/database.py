"""A server of PostgreSQL's protocol, version 3, that knows TLS and one answer."""

import socket
import ssl
import struct
import threading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def message(kind, *parts):
    body = b"".join(parts)
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
WELCOME = (
    message(b"R", struct.pack("!i", 0))
    + message(b"S", b"server_version\0", b"15.0\0")
    + message(b"S", b"client_encoding\0", b"UTF8\0")
    + READY
)
# A row of one int4, which is 1.
COLUMN = b"n\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0)
ANSWER = (
    message(b"T", struct.pack("!h", 1), COLUMN)
    + message(b"D", struct.pack("!hi", 1, 1), b"1")
    + message(b"C", b"SELECT 1\0")
    + READY
)


class Database:
    """`address` is where it is, in libpq's words."""

    def __init__(self, authority):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority.chain, authority.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address = "host=localhost port=%d user=test gssencmode=disable" % port
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain):
        with plain:
            # Nobody gets anything in plaintext.
            if plain.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                return
            plain.sendall(b"S")
            with self._context.wrap_socket(plain, server_side=True) as client:
                self._talk(client.makefile("rb"), client.sendall)

    def _talk(self, received, send):
        (length,) = struct.unpack("!i", received.read(4))
        received.read(length - 4)
        send(WELCOME)
        while True:
            kind, length = struct.unpack("!ci", received.read(5))
            received.read(length - 4)
            if kind == b"X":
                return
            send(ANSWER)
