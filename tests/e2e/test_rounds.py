"""Many rounds leave nothing behind."""

import os

from fake_service import assign

ROUNDS = 100
MAX_GROWTH_KB = 2048

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


def test_a_hundred_rounds_grow_neither_descriptors_nor_threads_nor_memory(
    service, launch
):
    seen = {}

    # Each is taken while the agent waits for the reply, so between two rounds.
    def look_and_assign(kind):
        def reply(call):
            seen[len(service.created)] = {
                "descriptors": len(os.listdir("/proc/%d/fd" % program.pid)),
                "threads": sorted(program.threads().values()),
                "memory": int(program.status()["VmRSS"].split()[0]),
            }
            return assign(kind, 0.1)(call)

        return reply

    service.on_create.extend(
        look_and_assign(("CPU", "WALL")[i % 2]) for i in range(ROUNDS + 1)
    )
    program = launch(PROGRAM, service=service)
    service.wait_updated(ROUNDS, timeout_s=60)
    service.wait_created(ROUNDS + 1)
    service.on_create.clear()
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""
    assert seen[ROUNDS]["descriptors"] == seen[10]["descriptors"]
    assert seen[ROUNDS]["threads"] == seen[10]["threads"]
    assert seen[ROUNDS]["memory"] - seen[20]["memory"] < MAX_GROWTH_KB, seen
