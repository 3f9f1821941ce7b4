"""The delay that the service asks for"""

import time

import grpc
from fake_service import assign, hang, refuse, rpc
from faults import each
from trial import BACKOFF_S, Agent, good, judge, recover, serve

KEY = "google.rpc.retryinfo-bin"
# A longest delay that a test can wait for, s, instead of an hour.
MOST_S = 2.0


def retry_info(seconds, nanos=0):
    delay = rpc.RetryInfo.Delay(seconds=seconds, nanos=nanos)
    return rpc.RetryInfo(retry_delay=delay).SerializeToString()


def in_details(info):
    """A google.rpc.Status with the info as its one detail, as grpc-status-details-bin
    carries it, by hand: we have no such message."""
    url = b"type.googleapis.com/google.rpc.RetryInfo"
    detail = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(info)]) + info
    return b"\x08\x0a\x1a" + bytes([len(detail)]) + detail


def try_trailers(trailers, delays, nr):
    """ABORTED with these trailers: `nr` delays are all within `delays`, s."""
    low, high = delays
    reply = refuse(grpc.StatusCode.ABORTED, "later", trailers)
    with serve(create_default=reply) as service, Agent(
        service.endpoint, backoff_s=(BACKOFF_S[0], MOST_S)
    ) as agent:
        agent.wait_failures(nr)
        agent.assert_alive()
        recover(agent, service, lambda: good(service))
        judge(agent, [], asked=True)
        for delay in agent.delays():
            assert low <= delay <= high


def test_a_good_delay():
    """ABORTED with retry info of 1.5 s.
    Waits for 1.5 s, exactly.
    """
    at = []
    trailers = ((KEY, retry_info(1, 5 * 10**8)),)
    later = refuse(grpc.StatusCode.ABORTED, "later", trailers)
    with serve() as service:
        service.on_create.append(
            lambda call: at.append(time.monotonic()) or later(call)
        )
        service.on_create.append(
            lambda call: at.append(time.monotonic()) or assign("WALL", 0.1)(call)
        )
        service.create_default = hang
        with Agent(service.endpoint, backoff_s=(BACKOFF_S[0], MOST_S)) as agent:
            service.wait_updated(1)
            judge(agent, [], asked=True)
            assert agent.delays() == [1.5]
    assert 1.5 <= at[1] - at[0] < 3


@each(
    "info",
    ("zero", "of 0 s", retry_info(0)),
    ("short", "of a microsecond", retry_info(0, 1000)),
    ("neither", "of -1 s and 1.2 billion ns", retry_info(-1, 1200000000)),
)
def test_a_delay_that_is_hardly_one(info):
    """ABORTED with retry info {}.
    Waits for a second: no reply makes a busy loop.
    """
    try_trailers(((KEY, info),), (1, 1), nr=2)


@each(
    "info",
    ("33-minutes", "of 33 minutes", retry_info(1980)),
    ("huge", "of 2^62 s", retry_info(2**62)),
    ("most", "of 2^63 s", retry_info(2**63 - 1, 999999999)),
    ("many-nanos", "of 2147483647 ns", retry_info(0, 2**31 - 1)),
    ("repeated", "of 5 s, thirty times in one message", retry_info(5) * 30),
)
def test_a_delay_that_is_too_long(info):
    """ABORTED with retry info {}, where the longest wait is 2 s instead of an hour.
    Waits for the longest there is.
    """
    try_trailers(((KEY, info),), (MOST_S, MOST_S), nr=1)


@each(
    "trailers",
    ("absent", "no trailer", ()),
    ("empty", "retry info of no bytes", ((KEY, b""),)),
    ("negative", "retry info of -5 s", ((KEY, retry_info(-5)),)),
    ("negative-nanos", "retry info of -1 ns", ((KEY, retry_info(0, -1)),)),
    ("least", "retry info of -2^63 s", ((KEY, retry_info(-(2**63))),)),
    ("garbage", "retry info of garbage", ((KEY, b"\xff\xff\xff"),)),
    ("text", "retry info of 200 letters", ((KEY, b"x" * 200),)),
    ("too-long", "retry info of 5,000 bytes", ((KEY, b"x" * 5000),)),
    (
        "in-details",
        "retry info of 1.5 s in grpc-status-details-bin instead",
        (("grpc-status-details-bin", in_details(retry_info(1, 5 * 10**8))),),
    ),
    (
        "garbage-first",
        "garbage, and then retry info of 1.5 s",
        ((KEY, b"\xff"), (KEY, retry_info(1, 5 * 10**8))),
    ),
)
def test_a_delay_that_cannot_be_used(trailers):
    """ABORTED with {}.
    Backs off by its own measure.
    """
    try_trailers(trailers, (0, 0.4), nr=5)


def test_two_delays():
    """ABORTED with retry info twice, of 1.2 s and of 1.7 s.
    Obeys the first.
    """
    try_trailers(
        ((KEY, retry_info(1, 2 * 10**8)), (KEY, retry_info(1, 7 * 10**8))),
        (1.2, 1.2),
        nr=1,
    )


def test_trailers_without_number():
    """ABORTED with fifty broken retry infos, fifty other trailers, and long words.
    Backs off by its own measure.
    """
    many = tuple((KEY, b"\x08") for _ in range(50))
    many += tuple(("key-%d" % i, "v" * 50) for i in range(50))
    try_trailers(many, (0, 0.4), nr=5)
