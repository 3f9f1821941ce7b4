"""Many rounds leave nothing behind."""

import os

import pytest
from fake_service import assign

# A round lasts 0.1 s, which is the least.
ROUNDS = 1000 if os.environ.get("CPROF_LONG") else 100
FIRST = ROUNDS // 10
MAX_GROWTH_KB = 1024

PROGRAM = """
import sys
import threading
import googlecloudprofiler

go_on = True

def work():
    while go_on:
        sorted(range(100))

thread = threading.Thread(target=work)
thread.start()
googlecloudprofiler.start(service="web")
sys.stdin.readline()
go_on = False
thread.join()
"""


def private_kb(pid):
    """The memory that is the process's own."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        rows = [line.split() for line in file]
    return sum(int(row[1]) for row in rows if row[0].startswith("Private_"))


@pytest.mark.timeout(60 + ROUNDS)
def test_many_rounds_grow_neither_descriptors_nor_threads_nor_memory(service, launch):
    seen = {}

    # Each is taken while the agent waits for the reply, so between two rounds.
    def look_and_assign(kind):
        def reply(call):
            seen[len(service.created)] = {
                "descriptors": len(os.listdir("/proc/%d/fd" % program.pid)),
                "threads": sorted(program.threads().values()),
                "memory": private_kb(program.pid),
            }
            return assign(kind, 0.1)(call)

        return reply

    service.on_create.extend(
        look_and_assign(("CPU", "WALL")[i % 2]) for i in range(ROUNDS + 1)
    )
    program = launch(PROGRAM, service=service)
    service.wait_updated(ROUNDS, timeout_s=60 + ROUNDS / 2)
    service.wait_created(ROUNDS + 1)
    service.on_create.clear()
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""
    first, last = seen[FIRST], seen[ROUNDS]
    print(first, last)
    assert last["descriptors"] == first["descriptors"]
    assert last["threads"] == first["threads"]
    assert last["memory"] - first["memory"] < MAX_GROWTH_KB, seen
