"""What a fork costs with the agent waiting for an assignment, beside the same without,
and without but with nine threads that sleep, as a program may well have.

Usage: forks.py [ROUNDS]     (default 7)

In each round every program runs once, in turn; it forks or starts another 300 times and
tells the median time of one, in microseconds: of the call, and until the child's end is
known. The agent is the installed package's; with $PYTHONPATH another's.
"""

import os
import statistics
import subprocess
import sys
import tempfile

PROGRAM = """
import logging
import os
import subprocess
import sys
import threading
import time

how, what = sys.argv[1:]
if what == "threads":
    for _ in range(9):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
elif what != "nothing":
    import googlecloudprofiler
    googlecloudprofiler.start(service="web", verbose=0, api_endpoint=what)
    time.sleep(1)
ballast = bytearray(20 << 20)

def by_fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    return pid

def by_fork_and_exec():
    pid = os.fork()
    if not pid:
        os.execv("/bin/true", ["true"])
    return pid

def by_subprocess():
    subprocess.run(["/bin/true"])

def by_hooked_subprocess():
    subprocess.run(["/bin/true"], preexec_fn=os.getpid)

go = locals()["by_" + how]
calls, wholes = [], []
for _ in range(300):
    begin = time.perf_counter()
    pid = go()
    calls.append(time.perf_counter() - begin)
    if pid:
        os.waitpid(pid, 0)
    wholes.append(time.perf_counter() - begin)
print(1e6 * sorted(calls)[150], 1e6 * sorted(wholes)[150])
"""
WAYS = ["fork", "fork_and_exec", "subprocess", "hooked_subprocess"]


def measure(how, what):
    out = subprocess.check_output([sys.executable, "-c", PROGRAM, how, what])
    return [float(word) for word in out.split()]


def say(what, rounds):
    """`rounds` are triples: without, with threads, with the agent."""
    nothing, threads, agent = (statistics.median(x) for x in zip(*rounds))
    print("%-28s %7.0f %7.0f %7.0f %+7.0f  %.2f  %.2f" % (
        what, nothing, threads, agent, agent - nothing, agent / nothing,
        agent / threads), flush=True)


def main():
    nr = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        service = subprocess.Popen(
            [sys.executable, "-m", "googlecloudprofiler", "serve", "--address",
             "127.0.0.1:0", "--web", "off", "--store", folder, "--interval", "3600"],
            stdout=subprocess.PIPE, universal_newlines=True)
        try:
            endpoint = "http://" + service.stdout.readline().split()[-1]
            print("%-28s %7s %7s %7s %7s  %s" % (
                "us", "without", "threads", "agent", "more", "ratio to both"))
            for how in WAYS:
                rounds = [[measure(how, what)
                           for what in ("nothing", "threads", endpoint)]
                          for _ in range(nr)]
                if how.startswith("fork"):
                    say(how + ", the call", [[x[0] for x in r] for r in rounds])
                say(how, [[x[1] for x in r] for r in rounds])
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    os.environ.pop("GOOGLE_CLOUD_PROFILER_ENDPOINT", None)
    main()
