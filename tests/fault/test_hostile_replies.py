"""Replies that no good service gives"""

import os
import re
import zlib

from fake_service import FakeService, api, assign, raw
from faults import each, takes
from frames import CREATE, HEADERS_200, Link, assignment, message
from profiles import Read
from trial import (
    CUT,
    FAILED,
    Agent,
    check_cost,
    good,
    judge,
    recover,
    serve,
    try_door,
    try_reply,
)
from wire import Door


def profile(**fields):
    fields.setdefault("name", "projects/p/profiles/1")
    fields.setdefault("profile_type", "WALL")
    return api.Profile(**fields).SerializeToString()


@each(
    "data",
    ("ones", "64 bytes of ones", b"\xff" * 64),
    ("long-length", "a length of 4 GiB", b"\x0a\xff\xff\xff\xff\x0f"),
    ("cut", "a field that is cut short", b"\x0a\x05ab"),
    ("endless-number", "a number that does not end", b"\x08" + b"\x80" * 11),
    ("groups", "5,000 groups, one in the other", b"\x0b" * 5000),
    ("nested", "a nested message that is broken", b"\x1a\x02\x1a\xff"),
    ("all", "all bytes there are", bytes(range(256)) * 16),
    ("no-bytes", "a message of no bytes", b""),
    ("no-name", "a profile without a name", profile(name="")),
    ("long-name", "a name of 600 characters", profile(name="x" * 600)),
    ("other-name", "a name of another form", profile(name="../../etc/passwd")),
    ("no-utf8", "a name that is no UTF-8", b"\x0a\x04\xff\xfe\x00\x01\x10\x01"),
    ("latin-1", "a name in Latin-1", b"\x0a\x17projects/caf\xe9/profiles/1\x10\x01"),
)
def test_a_reply_that_cannot_be_used(data):
    """The reply to CreateProfile is {}.
    Warns at the first time, collects nothing, and backs off.
    """
    try_reply(raw(data), [""], first=0)


def test_noise_over_a_good_reply():
    """A third of a good reply's bytes are replaced by random ones, each time anew.
    Warns at most once of a kind; what can still be read may be collected.
    """
    good_one = profile(labels={"a": "b"}, deployment={"target": "x"})

    def reply(call):
        noise = os.urandom(len(good_one))
        pairs = enumerate(zip(good_one, noise))
        return bytes(b if i % 3 else n for i, (b, n) in pairs)

    with serve(create_default=reply) as service, Agent(service.endpoint) as agent:
        service.wait_created(4)
        agent.assert_alive()
        recover(agent, service, lambda: good(service))
        agent.finish()
        warnings = agent.said("WARNING")
        assert len(warnings) <= 3, warnings


def test_a_reply_of_two_mebibytes():
    """The reply to CreateProfile is 2 MiB long.
    Lets core refuse it at its length; warns at the third in a row; backs off.
    """
    padding = b"\xa2\x06\x80\x80\x80\x01" + bytes(2 << 20)
    try_reply(raw(profile() + padding), ["larger than max"], first=2)


def test_a_reply_just_within_bounds():
    """The reply to CreateProfile has 900 labels of 1,000 characters.
    Collects, and hands the profile in with all of them.
    """
    labels = {"k%d" % i: "v" * 1000 for i in range(900)}
    with serve() as service:
        service.on_create.append(assign("WALL", 0.1, labels=labels))
        with Agent(service.endpoint) as agent:
            back = service.wait_updated(1)[0].request.profile
            del back.labels["process"]
            assert dict(back.labels) == labels
            judge(agent)


@takes(11)
@each(
    "duration",
    ("none", "absent", {}),
    ("zero", "0 s", {"duration": {"seconds": 0}}),
    ("negative", "-1 s", {"duration": {"seconds": -1}}),
    ("least", "-2^63 s", {"duration": {"seconds": -(2**63)}}),
    (
        "negative-nanos",
        "1 s and -2 billion ns",
        {"duration": {"seconds": 1, "nanos": -2000000000}},
    ),
)
def test_a_duration_that_is_none(duration):
    """The duration asked for is {}.
    Collects for 10 s, as is usual, and hands the profile in.
    """
    with serve() as service:
        service.on_create.append(raw(profile(**duration)))
        with Agent(service.endpoint) as agent:
            data = service.wait_updated(1)[0].request.profile.profile_bytes
            assert 9 * 10**9 < Read(data).raw.duration_nanos < 12 * 10**9
            agent.assert_alive()
            judge(agent)


def test_a_tiny_duration():
    """The duration asked for is 1 ns.
    Collects for a tenth of a second.
    """
    with serve() as service:
        service.on_create.append(raw(profile(duration={"nanos": 1})))
        with Agent(service.endpoint) as agent:
            data = service.wait_updated(1)[0].request.profile.profile_bytes
            assert 10**8 <= Read(data).raw.duration_nanos < 10**9
            judge(agent)


@each(
    "seconds",
    ("an-hour", "an hour", 3600),
    ("a-year", "a year", 365 * 86400),
    ("huge", "10^12 s", 10**12),
    ("most", "2^63 s", 2**63 - 1),
)
def test_a_duration_without_end(seconds):
    """The duration asked for is {}.
    Collects, for five minutes at most; stop() ends it at once.
    """
    with serve() as service:
        service.create_default = raw(profile(duration={"seconds": seconds}))
        with Agent(service.endpoint) as agent:
            agent.program.wait_collecting()
            agent.assert_alive()
            judge(agent)


def once(answer):
    """A script that answers each request so: answer(link, stream)."""

    def script(visitor):
        link = Link(visitor)
        while True:
            answer(link, link.request())

    return script


def without_message(link, stream):
    link.headers(stream)
    link.trailers(stream)


def headers_only(link, stream):
    link.headers(stream, [*HEADERS_200, ("grpc-status", "0")], end=True)


def without_trailers(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment()), end=True)


def without_status(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment()))
    link.trailers(stream, ("x-odd", "1"), status=None)


def half(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment())[:-5])
    link.trailers(stream)


def half_prefix(link, stream):
    link.headers(stream)
    link.data(stream, b"\x00\x00")
    link.trailers(stream)


def twice(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment()) * 2)
    link.trailers(stream)


def compressed(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment(), compressed=1))
    link.trailers(stream)


def odd_flag(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment(), compressed=7))
    link.trailers(stream)


def huge_length(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment(), length=2**32 - 1))
    link.trailers(stream)


def long_header(link, stream):
    link.headers(stream, [*HEADERS_200, ("x-long", "v" * 40000)])
    link.data(stream, message(assignment()))
    link.trailers(stream)


def long_trailer(link, stream):
    link.headers(stream)
    link.data(stream, message(assignment()))
    link.trailers(stream, ("x-long", "v" * 40000))


def bad_gateway(link, stream):
    page = b"<html><h1>502 Bad Gateway</h1></html>"
    link.headers(stream, [(":status", "502"), ("content-type", "text/html")])
    link.data(stream, page, end=True)


def forbidden(link, stream):
    link.headers(stream, [(":status", "403"), ("content-type", "text/html")])
    link.data(stream, b"<html>no</html>", end=True)


def redirect(link, stream):
    link.headers(
        stream, [(":status", "302"), ("location", "http://127.0.0.1/")], end=True
    )


def page(link, stream):
    link.headers(stream, [(":status", "200"), ("content-type", "text/html")])
    link.data(stream, b"<html>Sign in, please</html>", end=True)


@each(
    "answer, want",
    ("no-message", "status 0 and no message", without_message, "without a message"),
    ("headers-only", "status 0 in HEADERS alone", headers_only, "without a message"),
    ("without-trailers", "a message and no trailers", without_trailers, ""),
    ("without-status", "trailers without a status", without_status, ""),
    ("half", "half a message", half, ""),
    ("half-prefix", "two of a message's five first bytes", half_prefix, ""),
    ("odd-flag", "a message with the flag 7", odd_flag, ""),
    ("huge-length", "a message that claims 4 GiB", huge_length, ""),
    ("long-header", "a header of 40,000 bytes", long_header, ""),
    ("long-trailer", "a trailer of 40,000 bytes", long_trailer, ""),
    ("bad-gateway", "HTTP status 502 and a proxy's page", bad_gateway, "502"),
    ("forbidden", "HTTP status 403 and a proxy's page", forbidden, "403"),
    ("redirect", "HTTP status 302", redirect, "302"),
    ("page", "HTTP status 200 and a page to sign in", page, ""),
)
def test_an_answer_that_is_no_reply(answer, want):
    """CreateProfile is answered by {}.
    Warns once; backs off; tries for ever.
    """
    try_door(once(answer), [want])


@each(
    "encoding, wbits",
    ("gzip", "gzip", "gzip", 31),
    ("deflate", "deflate", "deflate", 15),
)
def test_a_bomb(encoding, wbits):
    """CreateProfile is answered by 700 MB of zeros that are 0.7 MB in {}.
    Does not unpack them; warns; backs off.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(700))
    packed += packer.flush()

    def bomb(link, stream):
        link.headers(stream, [*HEADERS_200, ("grpc-encoding", encoding)])
        link.data(stream, message(packed, compressed=1))
        link.trailers(stream)

    with FakeService() as service, Door(once(bomb), service.port) as door:
        good(service)
        with Agent(door.endpoint) as agent:
            agent.wait_failures()
            agent.assert_alive()
            recover(agent, service, door.mend)
            agent.finish()
            # Core refuses the encoding or hands the bytes on, as it happens.
            for text in agent.said("WARNING"):
                assert re.search("is disabled|no valid Profile|" + CUT, text), text
            check_cost(agent)


def test_a_flag_without_an_encoding():
    """Good replies say that they are compressed, and do not say how.
    Takes them as they are, or backs off, as core does.
    """

    odd = [compressed] * 4

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.next()
            if link.paths[stream] != CREATE:
                link.reply(stream, b"")
            elif odd:
                odd.pop()(link, stream)
            else:
                link.reply(stream, assignment())

    with Door(script) as door, Agent(door.endpoint) as agent:
        agent.wait_said("Starting to upload profile")
        agent.wait_said("Starting to create profile", 6)
        agent.finish()
        refused = any(r.text.startswith(FAILED) for r in agent.records)
        judge(agent, ["Compression bit set"] * refused)
    assert not door.errors, door.errors
