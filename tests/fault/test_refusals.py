"""What the service may answer instead of an assignment, and how loud that is."""

import time

import grpc
import pytest
from fake_service import api, assign, postpone, raw, refuse, rpc

CODE = grpc.StatusCode

PROGRAM = """
import logging
import sys
import googlecloudprofiler

class Handler(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.getMessage(), flush=True)

logging.getLogger().addHandler(Handler())
googlecloudprofiler.start(service="web", **eval(sys.argv[1]))
sys.stdin.readline()
"""
WARNINGS = "{'verbose': 1}"


def finish(program):
    """The lines that the program has said, once it has ended well."""
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""
    return program.rest()


def aborted_with(info):
    return refuse(CODE.ABORTED, "later", (("google.rpc.retryinfo-bin", info),))


def retry_info(seconds, nanos=0):
    delay = rpc.RetryInfo.Delay(seconds=seconds, nanos=nanos)
    return rpc.RetryInfo(retry_delay=delay).SerializeToString()


def test_retry_info_is_obeyed(service, launch):
    at = []
    service.on_create.extend(
        [
            lambda call: at.append(time.monotonic()) or postpone(1, 500000000)(call),
            lambda call: at.append(time.monotonic()) or assign(seconds=0.1)(call),
        ]
    )
    program = launch(PROGRAM, WARNINGS, service=service)
    service.wait_updated(1)
    assert 1.5 <= at[1] - at[0] < 2.5
    assert finish(program) == []


@pytest.mark.parametrize(
    "info",
    [retry_info(-5), retry_info(0), retry_info(0, -1), b"", retry_info(-(2**63))],
    ids=["negative", "zero", "negative nanos", "empty", "least"],
)
def test_a_retry_delay_without_sense_makes_no_busy_loop(service, launch, info):
    """Either a second, or backing off by its own measure."""
    at = []
    service.create_default = lambda call: (
        at.append(time.monotonic()) or aborted_with(info)(call)
    )
    program = launch(PROGRAM, WARNINGS, service=service)
    service.wait_created(1)[0].ended.wait()
    program.wait_agent_rests()
    assert finish(program) == []
    assert len(at) <= 2


@pytest.mark.parametrize(
    "info",
    [
        retry_info(2**62),
        retry_info(2**63 - 1, 999999999),
        retry_info(0, 2**31 - 1),
        b"\xff\xff\xff",
        b"x" * 200,
        b"x" * 5000,
        retry_info(5) * 30,
    ],
    ids=["huge", "most", "many nanos", "garbage", "long", "too long", "repeated"],
)
def test_a_hostile_retry_delay_does_not_end_the_agent(service, launch, info):
    service.create_default = aborted_with(info)
    program = launch(PROGRAM, WARNINGS, service=service)
    service.wait_created(1)[0].ended.wait()
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    assert finish(program) == []


def test_permission_denied_is_one_warning_with_the_services_words(service, launch):
    words = "Cloud Profiler API has not been used in project p-1 before"
    service.create_default = refuse(CODE.PERMISSION_DENIED, words)
    program = launch(PROGRAM, WARNINGS, service=service)
    line = program.line()
    assert line.startswith("WARNING Failed to create profile (will retry after ")
    assert line.endswith("CreateProfile: PERMISSION_DENIED: " + words)
    assert finish(program) == []


@pytest.mark.parametrize(
    "code",
    [
        CODE.INVALID_ARGUMENT,
        CODE.UNAUTHENTICATED,
        CODE.NOT_FOUND,
        CODE.UNIMPLEMENTED,
        CODE.FAILED_PRECONDITION,
    ],
)
def test_what_waiting_will_not_mend_is_warned_of(service, launch, code):
    service.create_default = refuse(code, "because")
    program = launch(PROGRAM, WARNINGS, service=service)
    assert program.line().endswith("CreateProfile: %s: because" % code.name)
    finish(program)


@pytest.mark.parametrize(
    "code",
    [
        CODE.UNAVAILABLE,
        CODE.ABORTED,
        CODE.RESOURCE_EXHAUSTED,
        CODE.INTERNAL,
        CODE.CANCELLED,
        CODE.UNKNOWN,
        CODE.DEADLINE_EXCEEDED,
        CODE.DATA_LOSS,
    ],
)
def test_what_may_pass_is_no_warning_at_once(service, launch, code):
    service.create_default = refuse(code, "because")
    program = launch(PROGRAM, WARNINGS, service=service)
    service.wait_created(1)[0].ended.wait()
    program.wait_agent_rests()
    assert "cprof-agent" in program.threads().values()
    assert finish(program) == []


def test_words_of_the_service_may_be_long_or_strange(service, launch):
    words = "\u00fcber \U0001f600 %s %n " + "x" * 3000
    service.create_default = refuse(CODE.PERMISSION_DENIED, words)
    program = launch(PROGRAM, WARNINGS, service=service)
    line = program.line()
    assert "PERMISSION_DENIED: \u00fcber \U0001f600 %s %n xxx" in line
    assert len(line) < 1100
    finish(program)


@pytest.mark.parametrize(
    "disabled, kind", [("cpu", "CPU"), ("wall", "WALL"), ("cpu", "HEAP")]
)
def test_a_type_that_was_not_offered_is_declined(service, launch, disabled, kind):
    at = []
    service.on_create.append(
        lambda call: at.append(time.monotonic()) or assign(kind, 0.1)(call)
    )
    program = launch(
        PROGRAM, "{'verbose': 1, 'disable_%s_profiling': True}" % disabled,
        service=service,
    )
    assert program.line() == "WARNING Unexpected profile type: " + kind
    service.wait_created(2)
    assert time.monotonic() - at[0] >= 1
    assert service.updated == []
    assert finish(program) == []


@pytest.mark.parametrize("number", [0, 99, -1, 2**31 - 1])
def test_a_type_that_nobody_knows_is_declined(service, launch, number):
    profile = api.Profile(name="projects/p/profiles/1", profile_type=number)
    service.on_create.append(raw(profile.SerializeToString()))
    program = launch(PROGRAM, WARNINGS, service=service)
    assert program.line().startswith("WARNING Unexpected profile type: ")
    service.wait_created(2)
    assert service.updated == []
    finish(program)


def test_an_upload_that_was_unavailable_is_tried_again(service, launch):
    service.on_create.append(assign(seconds=0.1))
    service.on_update.append(refuse(CODE.UNAVAILABLE, "restarting"))
    program = launch(PROGRAM, WARNINGS, service=service)
    first, second = service.wait_updated(2)
    assert first.raw == second.raw
    service.wait_created(2)
    assert finish(program) == []


def test_an_upload_that_was_refused_is_warned_of_and_given_up(service, launch):
    service.on_create.append(assign(seconds=0.1))
    service.on_update.append(refuse(CODE.INVALID_ARGUMENT, "no such profile"))
    program = launch(PROGRAM, WARNINGS, service=service)
    assert program.line() == (
        "WARNING Failed to collect and upload profile whose profile type is CPU: "
        "UpdateProfile: INVALID_ARGUMENT: no such profile"
    )
    service.wait_created(2)
    assert len(service.updated) == 1
    assert finish(program) == []
