"""Uploads that go wrong"""

import struct
import time

import grpc
from fake_service import FakeService, accept, api, assign, hang, raw, refuse
from faults import codes, each, takes
from frames import SETTINGS, UPDATE, WINDOW_UPDATE, Link, assignment, frame
from h2.events import DataReceived, RequestReceived, StreamEnded
from profiles import Read
from trial import LOST, Agent, good, judge, recover, serve
from wire import Door

CODE = grpc.StatusCode


def try_update(code, losses, uploads):
    """UpdateProfile ends so until `losses` windows are lost, after `uploads` tries of
    each."""
    with serve(update_default=refuse(code, "because")) as service:
        good(service)
        with Agent(service.endpoint) as agent:
            agent.wait_said(LOST, losses)
            agent.assert_alive()
            tries = [call.raw for call in service.updated]
            assert tries[:uploads] == tries[:1] * uploads
            if losses > 1:
                assert tries[uploads] != tries[0]
            recover(agent, service, lambda: setattr(service, "update_default", accept))
            judge(agent, ["%sWALL: UpdateProfile: %s: because$" % (LOST, code.name)])
            levels = [r.level for r in agent.records if r.text.startswith(LOST)]
            assert levels[:losses] == ["WARNING"] + ["DEBUG"] * (losses - 1)


@each(
    "code",
    *codes(
        "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "UNAUTHENTICATED",
    ),
)
def test_an_upload_that_is_refused(code):
    """UpdateProfile ends in {}.
    Drops the profile without another try, warns once until an upload goes well, and
    asks for the next after a second.
    """
    try_update(code, losses=3, uploads=1)


@takes(8)
@each(
    "code",
    *codes(
        "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    ),
)
def test_an_upload_that_may_pass(code):
    """UpdateProfile ends in {}, again and again.
    Tries three times within six seconds, drops the profile, warns once, goes on.
    """
    try_update(code, losses=1, uploads=3)


@takes(15)
def test_uploads_that_never_pass():
    """Two profiles one after the other cannot be handed in.
    Warns of the first; the second is for debugging.
    """
    try_update(CODE.UNAVAILABLE, losses=2, uploads=3)


def test_an_upload_that_was_unavailable_once():
    """UpdateProfile ends in UNAVAILABLE once.
    Hands in the same bytes two seconds later, and says nothing above DEBUG.
    """
    with serve() as service:
        service.on_create.append(assign("WALL", 0.1))
        service.on_update.append(refuse(CODE.UNAVAILABLE, "restarting"))
        with Agent(service.endpoint) as agent:
            first, second = service.wait_updated(2)
            assert first.raw == second.raw
            service.wait_created(2)
            agent.assert_alive()
            judge(agent)


@each(
    "data",
    ("garbage", "100 bytes of ones", b"\xff" * 100),
    ("empty", "a message of no bytes", b""),
    ("long", "a message of 900 kB", bytes(900000)),
)
def test_an_answer_that_is_not_read(data):
    """UpdateProfile is answered with {}.
    Goes on: it has no use for the answer.
    """
    with serve(update_default=raw(data)) as service:
        good(service)
        with Agent(service.endpoint) as agent:
            service.wait_updated(3)
            agent.assert_alive()
            judge(agent)


@takes(8)
def test_an_answer_that_is_too_long():
    """UpdateProfile is answered with 2 MiB.
    Takes it for a failure: three tries, one warning, then the next profile.
    """
    with serve(update_default=raw(bytes(2 << 20))) as service:
        good(service)
        with Agent(service.endpoint) as agent:
            agent.wait_said(LOST)
            agent.assert_alive()
            recover(agent, service, lambda: setattr(service, "update_default", accept))
            judge(agent, [LOST + "WALL: .*larger than max"])


@takes(34)
def test_an_upload_without_an_answer():
    """UpdateProfile is not answered.
    Gives up after 30 s and hands in the same bytes again.
    """
    with serve() as service:
        service.on_update.append(hang)
        good(service)
        with Agent(service.endpoint) as agent:
            first, second = service.wait_updated(2)[:2]
            assert first.raw == second.raw
            assert first.ended.is_set()
            service.wait_updated(3)
            judge(agent)


def test_an_upload_without_an_answer_and_stop():
    """UpdateProfile is not answered, and the program ends.
    Ends within a second, and the call with it.
    """
    with serve(update_default=hang) as service:
        good(service)
        with Agent(service.endpoint) as agent:
            call = service.wait_updated(1)[0]
            judge(agent)
            assert call.ended.wait(10)


def narrow(visitor, window, grain, uploads=None, pieces=None):
    """A window of so many bytes for the client, opened by `grain` as it is used up; 0
    for never. Answers what comes through; `uploads` and `pieces` keep it."""
    link = Link(visitor)
    link.reply(link.request(), assignment())
    link.raw(frame(SETTINGS, payload=struct.pack(">HI", 4, window)))
    opened = window
    while True:
        event = link.event()
        if isinstance(event, RequestReceived):
            opened = window
        if isinstance(event, DataReceived) and grain:
            stream = event.stream_id
            pieces.append(len(event.data))
            if len(link.bodies[stream]) >= opened and not event.stream_ended:
                link.raw(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", grain)))
                opened += grain
        if isinstance(event, StreamEnded):
            update = link.paths[event.stream_id] == UPDATE
            if update and uploads is not None:
                uploads.append(link.bodies[event.stream_id])
            link.reply(event.stream_id, b"" if update else assignment())


def test_a_slow_upload():
    """The service takes an upload in pieces of eight bytes.
    Hands it in whole, however long that takes, up to 30 s.
    """
    uploads, pieces = [], []

    def script(visitor):
        narrow(visitor, 8, 8, uploads, pieces)

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile", 3)
        agent.assert_alive()
        judge(agent, extra_cpu_s=0.5)
        # Less the flag and the length of a gRPC message.
        request = api.UpdateProfileRequest.FromString(uploads[0][5:])
        assert Read(request.profile.profile_bytes).total() > 0
        assert max(pieces) <= 8
    assert not door.errors, door.errors


@takes(36)
def test_an_upload_that_gets_stuck():
    """The window for an upload is 0 and stays so.
    Gives up after 30 s, and hands in the same profile when it is tried again.
    """

    def script(visitor):
        narrow(visitor, 0, 0)

    with FakeService() as service, Door(script, service.port) as door:
        good(service)
        with Agent(door.endpoint) as agent:
            agent.wait_said("Starting to upload profile")
            agent.program.wait_agent_rests()
            begin = time.monotonic()
            agent.wait_said("Starting to upload profile", 2)
            assert 25 < time.monotonic() - begin < 45
            recover(agent, service, door.mend)
            judge(agent)
    assert not door.errors, door.errors
