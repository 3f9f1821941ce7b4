"""Hubs and event loops: the agent's work is on native threads, so that nothing waits
for it; and a log handler whose lock is a greenlet's holds nobody for good."""

import pytest
from fake_service import assign

# A profile that the loop would be seen to wait for: it is as long as what a heartbeat
# may be late beyond what it is without the agent, twice.
PROFILE_S, LATE_S = 0.6, 0.3

# A program of each kind has `run(seconds)`: some work in small pieces, and a heartbeat,
# whose longest gap it gives back.
GREENLETS = """
def run(seconds):
    gaps = []

    def beat():
        end = last = time.monotonic()
        end += seconds
        while last < end:
            sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    def work():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(i * i % 7 for i in range(5000))
            sleep(0)

    wait([spawn(beat), spawn(work)])
    return max(gaps)
"""

PATCH = {
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n",
    # It warns of itself.
    "eventlet": """
import warnings
warnings.simplefilter("ignore")
import eventlet
eventlet.monkey_patch()
""",
}
NAMES = {
    "gevent": """
from gevent import joinall as wait, sleep, spawn
""",
    "eventlet": """
from eventlet import sleep, spawn
wait = lambda threads: [thread.wait() for thread in threads]
""",
}

TASKS = """
import asyncio
{names}
def run(seconds):
    gaps = []

    async def beat():
        end = last = time.monotonic()
        end += seconds
        while last < end:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def work():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(i * i % 7 for i in range(5000))
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(beat(), work())

    {runner}(main())
    return max(gaps)
"""

# What was imported before is patched as well as what is imported after.
IMPORT = "import logging\nimport sys\nimport time\nimport googlecloudprofiler\n"
PROGRAMS = {
    "gevent, patched before": PATCH["gevent"] + IMPORT + NAMES["gevent"] + GREENLETS,
    "gevent, patched after": IMPORT + PATCH["gevent"] + NAMES["gevent"] + GREENLETS,
    "eventlet, patched before": (
        PATCH["eventlet"] + IMPORT + NAMES["eventlet"] + GREENLETS
    ),
    "eventlet, patched after": (
        IMPORT + PATCH["eventlet"] + NAMES["eventlet"] + GREENLETS
    ),
    "asyncio": IMPORT + TASKS.format(names="", runner="asyncio.run"),
    "uvloop": IMPORT + TASKS.format(names="import uvloop", runner="uvloop.run"),
}

START = """
logging.basicConfig(format="%(message)s", stream=sys.stdout)
for name in ("googlecloudprofiler", "googlecloudprofiler.client"):
    logging.getLogger(name).propagate = {propagate}
{log}
if sys.argv[1:] == ["agent"]:
    googlecloudprofiler.start(service="shop", verbose=3)
"""
HEARTBEAT = START.format(propagate=False, log="") + """
print(run(3), flush=True)
"""

each_program = pytest.mark.parametrize("kind", list(PROGRAMS))


@each_program
def test_the_loop_does_not_wait_for_the_agent(service, launch, kind):
    """Neither for a profile, nor for the service, which does not answer then."""
    service.on_create.extend([assign("CPU", PROFILE_S), assign("WALL", PROFILE_S)])
    text = PROGRAMS[kind] + HEARTBEAT
    gaps = {}
    for argument in ("nothing", "agent"):
        program = launch(text, argument, service=service)
        gaps[argument] = float(program.line())
        assert program.end() == 0
        assert program.stderr() == ""
    assert len(service.updated) == 2
    assert gaps["agent"] <= gaps["nothing"] + LATE_S, gaps


SLOW = START.format(propagate=True, log="") + """
logging.getLogger("asyncio").addHandler(logging.StreamHandler())
run(3)
print("done", flush=True)
"""


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_the_loops_debug_mode_finds_nothing_slow(service, launch, kind):
    service.on_create.extend([assign("CPU", PROFILE_S), assign("WALL", PROFILE_S)])
    program = launch(PROGRAMS[kind] + SLOW, "agent", service=service,
                     PYTHONASYNCIODEBUG="1")
    service.wait_updated(2)
    while program.line() != "done":
        pass
    assert program.end() == 0
    assert program.stderr() == ""


# The handler gives up its turn with its lock held, as one does that writes to a patched
# socket; the program logs as well, by the same handler.
LOCKS = """
class Handler(logging.Handler):
    count = 0

    def emit(self, record):
        sleep(0.001)
        self.count += record.name.startswith("googlecloudprofiler")

handler = Handler()
logging.getLogger().addHandler(handler)
logging.getLogger("googlecloudprofiler").setLevel(1)
googlecloudprofiler.start(service="shop", verbose=3)

def speak():
    end = time.monotonic() + 600
    while time.monotonic() < end and not ended:
        logging.getLogger("program").warning("words")
        sleep(0.001)

ended = []
speaking = [spawn(speak) for _ in range(3)]
print("started", flush=True)
while handler.count < 30:
    sleep(0.01)
ended.append(True)
wait(speaking)
print("all spoke", flush=True)
"""


@pytest.mark.parametrize("kind", [k for k in PROGRAMS if "patched" in k])
def test_a_handler_with_a_greenlets_lock_holds_nobody(rounds, launch, kind):
    program = launch(PROGRAMS[kind] + LOCKS, service=rounds)
    assert program.line() == "started"
    assert program.line() == "all spoke"
    assert program.end(timeout_s=10) == 0
    assert program.stderr() == ""


# Threads of the program's are greenlets in the child as well, and go on only where
# their hub runs.
TOKENS = """
import os

class Credentials:
    token = expiry = None
    project_id = "project"
    make_request = staticmethod(lambda: None)

    def refresh(self, request):
        sleep(0.001)
        asked.append(os.getpid())

asked = []
googlecloudprofiler.start(
    service="shop", credentials=Credentials(), api_endpoint="https://localhost:1"
)
child = os.fork()
end = time.monotonic() + 30
while os.getpid() not in asked and time.monotonic() < end:
    sleep(0.01)
print(asked, flush=True)
if not child:
    os._exit(os.getpid() not in asked)
print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.parametrize("kind", [k for k in PROGRAMS if "patched" in k])
def test_a_childs_credentials_are_asked_where_greenlets_run(launch, kind):
    program = launch(PROGRAMS[kind] + TOKENS)
    assert program.end() == 0
    said = program.rest()
    assert len(said) == 3
    assert said[2] == "0", said
