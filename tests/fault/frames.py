"""A server that speaks HTTP/2 frame by frame, as PyPI's h2 and no gRPC does."""

import contextlib
import functools
import struct

from fake_service import SERVICE, api
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError

CREATE = "/%s/CreateProfile" % SERVICE
UPDATE = "/%s/UpdateProfile" % SERVICE

# Types and flags of frames that are made by hand.
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1

HEADERS_200 = [(":status", "200"), ("content-type", "application/grpc")]


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """The bytes of any frame, also of one that must not be."""
    if length is None:
        length = len(payload)
    head = struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream)
    return head + payload


def message(data, compressed=0, length=None):
    """A gRPC message: a flag, the length, the bytes."""
    if length is None:
        length = len(data)
    return struct.pack(">BI", compressed, length) + data


def assignment(seconds=0.1, kind="WALL"):
    """A good reply to CreateProfile."""
    return api.Profile(
        name="projects/p/profiles/1",
        profile_type=kind,
        duration=api.Duration(nanos=round(seconds * 10**9)),
    ).SerializeToString()


class Gone(OSError):
    """The client has closed the connection."""


def unless_given_up(send):
    """What is sent on a stream that the client has reset goes nowhere."""

    @functools.wraps(send)
    def wrapper(self, stream, *args, **kwargs):
        with contextlib.suppress(StreamClosedError):
            send(self, stream, *args, **kwargs)

    return wrapper


class Link:
    """One connection. It is greeted at once, and its settings are these."""

    def __init__(self, visitor, settings=None, greet=True):
        self.visitor = visitor
        self.h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.paths = {}
        self.bodies = {}
        self._events = []
        if settings:
            self.h2.update_settings(settings)
        if greet:
            self.h2.initiate_connection()
            self.flush()

    def flush(self):
        self.visitor.sendall(self.h2.data_to_send())

    def raw(self, data):
        """Bytes behind h2's back."""
        self.visitor.sendall(data)

    def event(self):
        """What the client did next."""
        while not self._events:
            data = self.visitor.recv(65536)
            if not data:
                raise Gone
            try:
                self._events = self.h2.receive_data(data)
            except ProtocolError:
                # h2 does not expect that more comes after GOAWAY.
                if self.h2.state_machine.state is ConnectionState.CLOSED:
                    raise Gone from None
                raise
            self.flush()
        event = self._events.pop(0)
        if isinstance(event, RequestReceived):
            self.paths[event.stream_id] = dict(event.headers)[":path"]
            self.bodies[event.stream_id] = b""
        elif isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
        elif isinstance(event, ConnectionTerminated):
            raise Gone
        return event

    def wait(self, kind):
        while True:
            event = self.event()
            if isinstance(event, kind):
                return event

    def request(self, path=CREATE, whole=True):
        """The stream of the next request, which is for `path`."""
        while True:
            event = self.wait(StreamEnded if whole else RequestReceived)
            if self.paths[event.stream_id] == path:
                return event.stream_id

    def next(self):
        """The stream of the next request, whatever it is for."""
        return self.wait(StreamEnded).stream_id

    @unless_given_up
    def headers(self, stream, headers=HEADERS_200, end=False):
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()

    @unless_given_up
    def data(self, stream, data, end=False):
        """Any length: in as many frames as the client lets in."""
        while True:
            room = self.h2.local_flow_control_window(stream)
            piece = data[: min(room, self.h2.max_outbound_frame_size)]
            data = data[len(piece) :]
            if piece or not data:
                self.h2.send_data(stream, piece, end_stream=end and not data)
                self.flush()
            if not data:
                return
            if not piece:
                self.wait(WindowUpdated)

    @unless_given_up
    def trailers(self, stream, *pairs, status="0"):
        pairs = ((("grpc-status", status),) if status is not None else ()) + pairs
        self.h2.send_headers(stream, list(pairs), end_stream=True)
        self.flush()

    def reply(self, stream, data):
        """A good answer."""
        self.headers(stream)
        self.data(stream, message(data))
        self.trailers(stream)

    def stay(self):
        """Answer nothing more, until the client leaves."""
        while True:
            self.event()
