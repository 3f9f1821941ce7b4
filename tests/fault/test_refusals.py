"""What the service answers instead of an assignment"""

import collections
import itertools

import grpc
from fake_service import api, assign, hang, raw, refuse, rpc
from faults import codes, each
from frames import Link
from trial import (
    AGAIN,
    FAILED,
    QUIET_FAILURES,
    Agent,
    good,
    judge,
    recover,
    serve,
    try_door,
    try_reply,
)

CODE = grpc.StatusCode


@each(
    "code",
    *codes(
        "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "UNAUTHENTICATED",
    ),
)
def test_what_waiting_will_not_mend(code):
    """CreateProfile ends in {}.
    Warns at the first time, with the service's words; backs off; tries for ever.
    """
    told = ["CreateProfile: %s: because(; |$)" % code.name]
    try_reply(refuse(code, "because"), told, first=0)


@each(
    "code",
    *codes(
        "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    ),
)
def test_what_may_pass(code):
    """CreateProfile ends in {}.
    Warns when it is the third failure in a row; backs off; tries for ever.
    """
    told = ["CreateProfile: %s: because(; |$)" % code.name]
    try_reply(refuse(code, "because"), told, first=QUIET_FAILURES)


@each(
    "number, want",
    ("99", "status 99, which gRPC does not have", "99",
     "(unknown status 99|UNKNOWN): odd"),
    ("least", "status -1", "-1", "CreateProfile: "),
    ("most", "status 4294967296", "4294967296", "CreateProfile: "),
    ("text", "a status that is no number", "fine", "CreateProfile: "),
)
def test_a_status_that_nobody_knows(number, want):
    """CreateProfile ends in {}.
    As with UNAVAILABLE.
    """

    def script(visitor):
        link = Link(visitor)
        while True:
            stream = link.request()
            link.headers(stream)
            link.trailers(stream, ("grpc-message", "odd"), status=number)

    try_door(script, [want])


def test_nothing_to_do():
    """CreateProfile ends in ABORTED without a delay, again and again.
    Says nothing above DEBUG, for this is an answer; backs off.
    """
    try_reply(refuse(CODE.ABORTED, "throttled"), [])


def test_two_failures_are_no_word():
    """CreateProfile fails twice with UNAVAILABLE.
    Says nothing above DEBUG: a service that restarts is not worth a word.
    """
    # A third would come sooner than a slow machine ends this.
    replies = itertools.chain(
        2 * [refuse(CODE.UNAVAILABLE, "restarting")],
        itertools.repeat(assign("WALL", 0.1)),
    )
    try_reply(lambda call: next(replies)(call), [], failures=2)


def test_refusals_that_alternate():
    """PERMISSION_DENIED, INVALID_ARGUMENT and UNAVAILABLE in turn.
    Warns once of each kind, and says once that it is over.
    """
    replies = itertools.cycle(
        refuse(code, "because")
        for code in (CODE.PERMISSION_DENIED, CODE.INVALID_ARGUMENT, CODE.UNAVAILABLE)
    )
    try_reply(
        lambda call: next(replies)(call),
        ["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNAVAILABLE"],
        failures=10,
    )


def test_outages_one_after_the_other():
    """PERMISSION_DENIED three times, a profile, and the same again.
    Warns once in each outage, and says of each that it is over.
    """
    no = refuse(CODE.PERMISSION_DENIED, "no")
    with serve() as service:
        service.on_create.extend([no] * 3 + [assign("WALL", 0.1)] + [no] * 3)
        service.create_default = hang
        service.on_create.append(assign("WALL", 0.1))
        with Agent(service.endpoint) as agent:
            service.wait_updated(2)
            agent.wait_said(AGAIN, 2)
            agent.finish()
            failed = [r.level for r in agent.records if r.text.startswith(FAILED)]
            assert failed == ["WARNING", "DEBUG", "DEBUG"] * 2


def test_words_that_are_long_and_strange():
    """The words of a refusal are 3,000 characters, with %s, emoji and accents.
    Tells them as they are, cut within a line.
    """
    words = "\u00fcber \U0001f600 %s %n " + "x" * 3000
    with serve(create_default=refuse(CODE.PERMISSION_DENIED, words)) as service, Agent(
        service.endpoint, PYTHONIOENCODING="utf-8"
    ) as agent:
        text = agent.wait_failures(1)[0].text
        assert "PERMISSION_DENIED: \u00fcber \U0001f600 %s %n xxx" in text
        assert len(text) < 1100
        recover(agent, service, lambda: good(service))
        judge(agent, ["PERMISSION_DENIED"])


def test_a_delay_that_comes_with_another_refusal():
    """PERMISSION_DENIED carries retry info of 33 minutes.
    Ignores the delay, which belongs to ABORTED, and backs off.
    """
    delay = rpc.RetryInfo.Delay(seconds=1980)
    info = rpc.RetryInfo(retry_delay=delay).SerializeToString()
    try_reply(
        refuse(CODE.PERMISSION_DENIED, "no", (("google.rpc.retryinfo-bin", info),)),
        ["PERMISSION_DENIED"],
    )


@each(
    "disabled, kind",
    ("cpu", "CPU, where only WALL was offered", "cpu", "CPU"),
    ("wall", "WALL, where only CPU was offered", "wall", "WALL"),
    ("heap", "HEAP", None, "HEAP"),
    ("contention", "CONTENTION", None, "CONTENTION"),
)
def test_a_type_that_was_not_offered(disabled, kind):
    """The service asks for a profile of the type {}.
    Warns once, collects nothing, and asks for another after a second each time.
    """
    options = {"disable_%s_profiling" % disabled: True} if disabled else {}
    decline(assign(kind, 0.1), options, kind)


@each(
    "number",
    ("unspecified", "0", 0),
    ("unknown", "99", 99),
    ("negative", "-1", -1),
    ("most", "2147483647", 2**31 - 1),
)
def test_a_type_that_nobody_knows(number):
    """The service asks for a profile of the type number {}.
    Warns once, collects nothing, and asks for another after a second each time.
    """
    profile = api.Profile(name="projects/p/profiles/1", profile_type=number)
    decline(raw(profile.SerializeToString()), {}, "UN")


def decline(reply, options, name):
    with serve(create_default=reply) as service, Agent(
        service.endpoint, options=options
    ) as agent:
        first, second = agent.wait_said("Unexpected profile type: " + name, 2)
        assert second.at - first.at >= 0.9
        assert service.updated == []
        kind = "CPU" if options.get("disable_wall_profiling") else "WALL"
        service.create_default = assign(kind, 0.1)
        service.wait_updated(1)
        agent.assert_alive()
        judge(agent, ["^Unexpected profile type: " + name])
        levels = collections.Counter(
            r.level for r in agent.records if r.text.startswith("Unexpected")
        )
        assert levels["WARNING"] == 1 and levels["DEBUG"] >= 1
