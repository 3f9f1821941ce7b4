"""The agent's words: quiet by default, and no handler can stop it."""

import grpc
import pytest
from fake_service import assign, refuse

HEALTHY = """
import logging
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web"%s)
assert logging.getLogger().handlers == []
sys.stdin.readline()
assert logging.getLogger().handlers == []
"""


def finish(program):
    program.say()
    assert program.end() == 0, program.stderr()
    return program.stderr()


def test_a_healthy_run_says_nothing(service, launch):
    service.on_create.extend([assign("CPU", 0.1), assign("WALL", 0.1)])
    program = launch(HEALTHY % "", service=service)
    service.wait_updated(2)
    service.wait_created(3)
    assert finish(program) == ""


def test_errors_of_the_service_are_no_words_at_verbose_0(service, launch):
    service.on_create.append(refuse(grpc.StatusCode.PERMISSION_DENIED, "no"))
    program = launch(HEALTHY % "", service=service)
    service.wait_created(1)[0].ended.wait()
    assert finish(program) == ""


def test_info_and_debug_need_a_handler_of_the_program(service, launch):
    service.on_create.extend([assign("CPU", 0.1), assign("WALL", 0.1)])
    program = launch(HEALTHY % ", verbose=3", service=service)
    service.wait_created(3)
    assert finish(program) == ""


COLLECTED = """
import logging
import sys
import googlecloudprofiler

class Handler(logging.Handler):
    def emit(self, record):
        print(record.name, record.levelname, record.getMessage(), flush=True)

logging.getLogger().addHandler(Handler())
googlecloudprofiler.start(service="web", verbose=int(sys.argv[1]))
sys.stdin.readline()
"""


def test_debug_tells_each_step_with_the_originals_words(service, launch):
    service.on_create.append(assign("CPU", 0.1))
    program = launch(COLLECTED, "3", service=service)
    want = [
        "googlecloudprofiler INFO Google Cloud Profiler Python agent version: 5.0.0",
        "googlecloudprofiler.client DEBUG Starting to create profile",
        "googlecloudprofiler.client DEBUG Successfully created a CPU profile",
        "googlecloudprofiler.client DEBUG Starting to upload profile",
        "googlecloudprofiler.client DEBUG Starting to create profile",
    ]
    assert sorted(program.line() for _ in want) == sorted(want)
    finish(program)


def test_info_tells_the_version_only(service, launch):
    service.on_create.append(assign("CPU", 0.1))
    program = launch(COLLECTED, "2", service=service)
    service.wait_created(2)
    program.say()
    assert program.end() == 0
    assert program.line().endswith("agent version: 5.0.0")
    with pytest.raises(AssertionError):
        program.line()


HANDLERS = {
    "raises": """
class Handler(logging.Handler):
    def emit(self, record):
        raise RuntimeError("a handler's own")
""",
    "raises what ends programs": """
class Handler(logging.Handler):
    def emit(self, record):
        if record.name.endswith("client"):
            raise SystemExit(9)
""",
    "recurses": """
class Handler(logging.Handler):
    def emit(self, record):
        logging.getLogger("googlecloudprofiler").warning("again: %s", record.msg)
""",
    "recurses once": """
class Handler(logging.Handler):
    busy = False
    def emit(self, record):
        if not self.busy:
            self.busy = True
            logging.getLogger("googlecloudprofiler").warning("again")
            self.busy = False
""",
    "stops the agent": """
class Handler(logging.Handler):
    def emit(self, record):
        if record.name.endswith("client"):
            googlecloudprofiler.start(service="other")
""",
    "formats wrongly": """
logging.raiseExceptions = False
class Handler(logging.StreamHandler):
    def format(self, record):
        return 1 / 0
""",
}

UNRULY = """
import logging
import sys
import googlecloudprofiler
%s
try:
    googlecloudprofiler.start(service="web", verbose=3)
except BaseException:
    pass
logging.getLogger("googlecloudprofiler").addHandler(Handler())
sys.stdin.readline()
"""


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_a_handler_does_not_stop_profiling(service, launch, handler):
    service.create_default = assign("WALL", 0.1)
    program = launch(UNRULY % HANDLERS[handler], service=service)
    service.wait_updated(4)
    assert finish(program) == ""


BLOCKING = """
import logging
import sys
import threading
import time
import googlecloudprofiler

lock = threading.Lock()

class Handler(logging.Handler):
    def emit(self, record):
        if record.name.endswith("client"):
            print("blocked", flush=True)
            with lock:
                pass

googlecloudprofiler.start(service="web", verbose=3)
lock.acquire()
logging.getLogger("googlecloudprofiler").addHandler(Handler())
sys.stdin.readline()
if sys.argv[1] == "release":
    lock.release()
begin = time.monotonic()
googlecloudprofiler.stop()
print("stopped after", time.monotonic() - begin, flush=True)
# logging's own end waits for each handler's lock.
if lock.locked():
    lock.release()
"""


@pytest.mark.parametrize("lock", ["release", "keep"])
def test_a_handler_that_blocks_stops_neither_profiling_nor_the_end(
    service, launch, lock
):
    service.create_default = assign("WALL", 0.1)
    program = launch(BLOCKING, lock, service=service)
    assert program.line() == "blocked"
    service.wait_updated(len(service.updated) + 3)
    program.say()
    line = program.line(timeout_s=10)
    while line == "blocked":
        line = program.line(timeout_s=10)
    assert float(line.rpartition(" ")[2]) <= 1.0
    assert program.end() == 0
    assert program.stderr() == ""


def test_an_interrupt_that_comes_within_a_handler_is_not_lost(service, launch):
    """In stop(), which speaks what there is, or in a greenlet."""
    text = """
import sys
import googlecloudprofiler
from googlecloudprofiler import _native

def interrupt(level, text):
    raise KeyboardInterrupt

googlecloudprofiler.start(service="web")
_native.speak_through(interrupt, lambda: None)
sys.stdin.readline()
try:
    googlecloudprofiler.stop()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    service.on_create.append(assign("WALL", 0.1))
    program = launch(text, service=service)
    service.wait_updated(1)
    program.say()
    assert program.line() == "interrupted"
    assert program.end() == 0


def test_more_words_than_there_is_room_for_are_counted(service, launch):
    service.create_default = assign("WALL", 0.1)
    text = """
import logging
import sys
import threading
import googlecloudprofiler

gate = threading.Event()

class Handler(logging.Handler):
    def emit(self, record):
        if record.name.endswith("client"):
            gate.wait()
            print(record.getMessage(), flush=True)

googlecloudprofiler.start(service="web", verbose=3)
logging.getLogger("googlecloudprofiler").addHandler(Handler())
sys.stdin.readline()
gate.set()
sys.stdin.readline()
"""
    program = launch(text, service=service)
    # Three records a round.
    service.wait_updated(30)
    program.say()
    while True:
        line = program.line()
        if line.endswith("log messages were lost"):
            break
    assert int(line.split()[0]) > 0
    finish(program)


def test_a_second_start_warns_and_is_ignored(service, launch):
    text = """
import logging
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web", verbose=1)
assert googlecloudprofiler.start(service="Wrong!", verbose="x") is None
sys.stdin.readline()
"""
    program = launch(text, service=service)
    service.wait_created(1)
    assert finish(program) == (
        "googlecloudprofiler.start() called again after it was previously called. "
        "This function should only be called once. This call is ignored.\n"
    )
    assert len(service.created) == 1
