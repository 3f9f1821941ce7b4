"""Replies that no good service gives: none of them ends the agent."""

import os

import grpc
import pytest
from fake_service import Refusal, api, assign, hang, raw
from profiles import Read

PROGRAM = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
"""


def finish(program):
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""


def assert_agent_lives(service, program):
    service.wait_created(1)[0].ended.wait()
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    finish(program)


def profile(**fields):
    fields.setdefault("name", "projects/p/profiles/1")
    fields.setdefault("profile_type", "CPU")
    return api.Profile(**fields).SerializeToString()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\x05ab",
        b"\x08" + b"\x80" * 11,
        b"\x0b" * 5000,
        b"\x1a\x02\x1a\xff",
        bytes(range(256)) * 16,
    ],
    ids=["ones", "long length", "cut", "endless number", "groups", "nested", "all"],
)
def test_garbage(service, launch, data):
    service.create_default = raw(data)
    assert_agent_lives(service, launch(PROGRAM, service=service))


def test_random_bytes_over_a_good_profile(service, launch):
    good = profile(labels={"a": "b"}, deployment={"target": "x"})
    noise = os.urandom(len(good))
    data = bytes(b if i % 3 else n for i, (b, n) in enumerate(zip(good, noise)))
    service.create_default = raw(data)
    program = launch(PROGRAM, service=service)
    service.wait_created(1)
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values(), data
    finish(program)


def test_a_reply_of_two_mebibytes_is_refused(service, launch):
    padding = b"\xa2\x06\x80\x80\x80\x01" + bytes(2 << 20)
    service.create_default = raw(profile() + padding)
    program = launch(PROGRAM, service=service)
    assert_agent_lives(service, program)
    assert service.updated == []


def test_a_reply_just_within_bounds_comes_back_whole(service, launch):
    labels = {"k%d" % i: "v" * 1000 for i in range(900)}
    service.on_create.append(assign(seconds=0.1, labels=labels))
    program = launch(PROGRAM, service=service)
    back = service.wait_updated(1)[0].request.profile
    assert dict(back.labels) == labels
    finish(program)


@pytest.mark.parametrize(
    "duration",
    [
        {},
        {"seconds": -1},
        {"seconds": -(2**63)},
        {"seconds": 1, "nanos": -2000000000},
        {"seconds": 2**63 - 1, "nanos": 999999999},
        {"seconds": 10**12},
        {"seconds": 3600},
    ],
    ids=["none", "negative", "least", "negative nanos", "most", "huge", "an hour"],
)
def test_a_duration_without_sense_is_replaced_and_can_be_stopped(
    service, launch, duration
):
    service.create_default = raw(profile(duration=duration))
    program = launch(PROGRAM, service=service)
    program.wait_collecting()
    finish(program)


def test_a_tiny_duration_is_lengthened(service, launch):
    service.on_create.append(raw(profile(duration={"nanos": 1})))
    program = launch(PROGRAM, service=service)
    data = service.wait_updated(1)[0].request.profile.profile_bytes
    assert Read(data).raw.duration_nanos >= 100000000
    finish(program)


@pytest.mark.parametrize(
    "data",
    [b"", profile(name=""), profile(name="x" * 600)],
    ids=["empty", "no name", "long name"],
)
def test_what_names_no_profile_is_not_collected(service, launch, data):
    """It could not be handed in. The agent backs off."""
    service.create_default = raw(data)
    program = launch(PROGRAM, service=service)
    assert_agent_lives(service, program)
    assert service.updated == []


@pytest.mark.parametrize(
    "words", [b"\xff\xfe\x00\x01", b"caf\xe9"], ids=["no text", "latin-1"]
)
def test_strings_that_are_no_utf8(service, launch, words):
    rest = b"\x10\x01\x22\x04\x10\x80\xc2\xd7\x2f"
    data = b"\x0a" + bytes([len(words)]) + words + rest
    service.create_default = raw(data)
    program = launch(PROGRAM, service=service)
    service.wait_created(1)
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    finish(program)


def test_trailers_of_every_kind(service, launch):
    def reply(call):
        raise Refusal(
            grpc.StatusCode.ABORTED,
            "x" * 2000,
            tuple(("google.rpc.retryinfo-bin", b"\x08") for _ in range(50))
            + tuple(("key-%d" % i, "v" * 50) for i in range(50)),
        )

    service.create_default = reply
    assert_agent_lives(service, launch(PROGRAM, service=service))


def test_an_answer_to_an_upload_is_not_read(service, launch):
    service.create_default = assign(seconds=0.1)
    service.on_update.extend([raw(b"\xff" * 100), raw(b""), raw(bytes(2 << 20))])
    program = launch(PROGRAM, service=service)
    service.wait_updated(4)
    finish(program)


def test_an_upload_without_an_answer_can_be_stopped(service, launch):
    service.create_default = assign(seconds=0.1)
    service.update_default = hang
    program = launch(PROGRAM, service=service)
    call = service.wait_updated(1)[0]
    finish(program)
    assert call.ended.wait(10)
