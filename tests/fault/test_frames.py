"""HTTP/2 that goes wrong"""

import struct
import threading

from fake_service import PATIENCE_S, FakeService, api
from faults import each, takes
from frames import (
    ACK,
    CONTINUATION,
    CREATE,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    UPDATE,
    WINDOW_UPDATE,
    Link,
    assignment,
    frame,
    message,
)
from h2.events import PingAckReceived, SettingsAcknowledged
from trial import Agent, check_cost, good, judge, recover, try_door
from wire import Door, stay


def at_stage(act):
    """A script: once a CreateProfile has come, act(link, stream), and hang up."""

    def script(visitor):
        link = Link(visitor)
        act(link, link.request())

    return script


def half_request(visitor):
    Link(visitor).request(whole=False)


def nothing(link, stream):
    pass


def after_headers(link, stream):
    link.headers(stream)


def in_the_prefix(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment())[:3])


def in_the_message(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment())[:-5])


def after_the_message(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment()))


def in_a_frame(link, stream):
    link.headers(stream)
    link.raw(frame(DATA, 0, stream, b"abc", length=100))


@each(
    "script",
    ("after-settings", "after SETTINGS", Link),
    ("in-the-request", "as a request begins", half_request),
    ("after-the-request", "after a request", at_stage(nothing)),
    ("after-headers", "after HEADERS", at_stage(after_headers)),
    ("in-the-prefix", "within a message's five first bytes", at_stage(in_the_prefix)),
    ("in-the-message", "in the middle of a message", at_stage(in_the_message)),
    ("in-a-frame", "in the middle of a frame", at_stage(in_a_frame)),
    ("after-message", "after a message, without trailers", at_stage(after_the_message)),
)
def test_a_connection_that_is_dropped(script):
    """The connection is dropped {}, each time.
    Warns at the third failure; backs off; connects anew for each try.
    """
    try_door(script, ["UNAVAILABLE|INTERNAL|UNKNOWN"])


@each(
    "code, want",
    *(
        (name.lower().replace("a code of ", ""), name, code, want)
        for code, name, want in (
            (0, "NO_ERROR", ""),
            (1, "PROTOCOL_ERROR", "INTERNAL"),
            (2, "INTERNAL_ERROR", "INTERNAL"),
            (3, "FLOW_CONTROL_ERROR", "INTERNAL"),
            (7, "REFUSED_STREAM", "UNAVAILABLE"),
            (8, "CANCEL", "CANCELLED"),
            (11, "ENHANCE_YOUR_CALM", "RESOURCE_EXHAUSTED"),
            (12, "INADEQUATE_SECURITY", "PERMISSION_DENIED"),
            (13, "HTTP_1_1_REQUIRED", ""),
            (2**32 - 1, "a code of 4294967295", ""),
        )
    ),
)
def test_a_stream_that_is_reset(code, want):
    """The long poll ends in RST_STREAM with {}.
    Warns once; backs off; tries for ever.
    """

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.request()
            link.raw(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))

    try_door(script, [want])


def go_away(link, last, code, words=b""):
    link.raw(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + words))


@each(
    "code, words",
    ("no-error", "no error", 0, b""),
    ("calm", "ENHANCE_YOUR_CALM and too_many_pings", 11, b"too_many_pings"),
    ("internal", "INTERNAL_ERROR", 2, b"oops"),
    ("long", "8,000 bytes of words", 2, b"x" * 8000),
)
def test_going_away_without_an_answer(code, words):
    """GOAWAY during the long poll, of a stream before ours, with {}; then the end.
    Warns at the third failure; backs off; connects anew.
    """

    def script(visitor):
        link = Link(visitor)
        link.request()
        go_away(link, 0, code, words)
        link.stay()

    try_door(script, ["UNAVAILABLE"])


def test_going_away_with_an_answer():
    """GOAWAY during the long poll, which is still answered.
    Takes the answer, and hands the profile in over a new connection.
    """
    handed_in = threading.Event()

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.next()
            if link.paths[stream] == UPDATE:
                link.reply(stream, b"")
                handed_in.set()
            else:
                go_away(link, stream, 0)
                link.reply(stream, assignment())

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile", 3)
        assert handed_in.wait(10)
        assert door.visitors >= 3
        agent.assert_alive()
        judge(agent)
    assert not door.errors, door.errors


def test_going_away_before_the_first_request():
    """GOAWAY as the first thing on each connection.
    Warns at the third failure; backs off.
    """

    def script(visitor):
        link = Link(visitor)
        go_away(link, 0, 0)
        link.stay()

    try_door(script, [""])


@each(
    "data",
    ("too-long", "DATA of 16 MiB", frame(DATA, 0, 1, b"", length=2**24 - 1)),
    ("data-on-zero", "DATA on the stream 0", frame(DATA, 0, 0, b"abc")),
    ("even-stream", "HEADERS on a stream of ours", frame(HEADERS, 5, 2, b"\x88")),
    ("push", "PUSH_PROMISE", frame(PUSH_PROMISE, 4, 1, b"\x00\x00\x00\x02\x88")),
    ("settings-length", "SETTINGS of five bytes", frame(SETTINGS, payload=b"12345")),
    (
        "settings-window",
        "SETTINGS with a window of 4 GiB",
        frame(SETTINGS, payload=struct.pack(">HI", 4, 2**32 - 1)),
    ),
    (
        "settings-frame-size",
        "SETTINGS with a frame size of 0",
        frame(SETTINGS, payload=struct.pack(">HI", 5, 0)),
    ),
    ("ping-length", "PING of three bytes", frame(PING, payload=b"123")),
    (
        "window",
        "WINDOW_UPDATE past 2^31",
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
    ),
    ("goaway-length", "GOAWAY of two bytes", frame(GOAWAY, payload=b"12")),
    (
        "continuation",
        "CONTINUATION without HEADERS",
        frame(CONTINUATION, END_HEADERS, 1, b"\x88"),
    ),
    (
        "compression",
        "HEADERS whose compression is broken",
        lambda stream: frame(HEADERS, END_HEADERS, stream, b"\xff" * 20),
    ),
    (
        "padding",
        "DATA with more padding than data",
        lambda stream: frame(DATA, 8, stream, b"\xffab"),
    ),
)
def test_a_frame_that_must_not_be(data):
    """The long poll is answered by a frame that must not be: {}; then by nothing.
    Warns once, or waits on where HTTP/2 allows that; backs off; connects anew.
    """
    seen = threading.Event()

    def script(visitor):
        link = Link(visitor)
        stream = link.request()
        try:
            link.raw(data(stream) if callable(data) else data)
            # What comes after it is answered, or the client leaves.
            link.h2.ping(bytes(8))
            link.flush()
            link.wait(PingAckReceived)
        finally:
            seen.set()
        link.stay()

    door_that_may_stay(script, seen)


def door_that_may_stay(script, seen, extra_s=0):
    """As try_door() once the client has `seen` the fault, which it may ignore."""
    with FakeService() as service, Door(script, service.port) as door:
        good(service)
        with Agent(door.endpoint) as agent:
            assert seen.wait(PATIENCE_S)
            agent.program.wait_agent_rests()
            agent.assert_alive()
            recover(agent, service, door.mend)
            agent.finish()
            assert len(agent.said("WARNING")) <= 1
            check_cost(agent, extra_s)
    assert not door.errors, door.errors


@takes(10)
@each(
    "piece, nr",
    ("ping", "a million PINGs", frame(PING, payload=bytes(8)), 1000000),
    ("settings", "a million SETTINGS", frame(SETTINGS), 1000000),
    ("ack", "a million answers to PINGs", frame(PING, ACK, 0, bytes(8)), 1000000),
    ("empty-data", "a million empty DATA frames", frame(DATA, 0, 1), 1000000),
    ("unknown", "a million frames of no type", frame(77, 0, 0, b"12"), 1000000),
    (
        "window",
        "a million WINDOW_UPDATEs of one byte",
        frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
        1000000,
    ),
    (
        "continuation",
        "a header of 64 MB in CONTINUATIONs",
        frame(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x81\x7c" + b"v" * 16000),
        4000,
    ),
)
def test_a_flood(piece, nr):
    """The long poll is answered by {}, and nobody reads what the agent says.
    Needs neither memory nor time without bounds; connects anew when it is over.
    """

    flooded = threading.Event()

    def script(visitor):
        link = Link(visitor)
        stream = link.request()
        if piece[3] == CONTINUATION:
            link.raw(frame(HEADERS, 0, stream, b"\x88"))
        elif piece[3] == DATA:
            link.headers(stream)
        visitor.settimeout(5)
        try:
            for _ in range(0, nr, 1000):
                link.raw(piece * 1000)
        finally:
            flooded.set()
        stay(visitor)

    door_that_may_stay(script, flooded, extra_s=5)


def test_settings_that_are_strange_but_allowed():
    """SETTINGS with a frame size of 16 MiB, a table of 0 and a window of 2^31 - 1.
    Profiles as ever.
    """
    pairs = ((1, 0), (4, 2**31 - 1), (5, 2**24 - 1), (6, 2**32 - 1), (999, 1))
    strange = frame(SETTINGS, payload=b"".join(struct.pack(">HI", *p) for p in pairs))
    serve_frames(lambda link: link.raw(strange))


def test_no_stream_allowed():
    """SETTINGS allow no stream at all.
    Waits, as HTTP/2 asks; connects anew when the connection ends.
    """

    seen = threading.Event()

    def script(visitor):
        link = Link(visitor)
        link.raw(frame(SETTINGS, payload=struct.pack(">HI", 3, 0)))
        link.wait(SettingsAcknowledged)
        seen.set()
        link.stay()

    door_that_may_stay(script, seen)


def serve_frames(prepare):
    """A good service that has done `prepare(link)` first."""

    def script(visitor):
        link = Link(visitor)
        prepare(link)
        while True:
            stream = link.next()
            create = link.paths[stream] == CREATE
            link.reply(stream, assignment() if create else b"")

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile", 3)
        agent.assert_alive()
        judge(agent)
    assert not door.errors, door.errors


def test_an_upload_that_is_reset():
    """The stream of an upload is reset with INTERNAL_ERROR, once.
    Hands in the same profile two seconds later, and says nothing above DEBUG.
    """
    bodies = []

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.next()
            if link.paths[stream] == CREATE:
                link.reply(stream, assignment())
                continue
            bodies.append(link.bodies[stream])
            if len(bodies) == 1:
                link.raw(frame(RST_STREAM, 0, stream, struct.pack(">I", 2)))
            else:
                link.reply(stream, b"")

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile", 4)
        assert bodies[0] == bodies[1] != bodies[2]
        api.UpdateProfileRequest.FromString(bodies[0][5:])
        judge(agent)
    assert not door.errors, door.errors


def test_an_answer_with_another_content_type():
    """A good reply says that it is text/plain.
    Takes it: the bytes are what counts.
    """

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.next()
            create = link.paths[stream] == CREATE
            link.headers(stream, [(":status", "200"), ("content-type", "text/plain")])
            link.data(stream, message(assignment() if create else b""))
            link.trailers(stream)

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile", 3)
        judge(agent)
    assert not door.errors, door.errors
