"""What a user does first: profiles a program against the local service, and a child
that it forks. Prints the types that were stored of both. Runs on 3.6 to 3.15, wherever
a wheel was unpacked.

Usage: use.py PYTHON FOLDER [--no-fork | --emulated]

PYTHON is what starts an interpreter like this one. --no-fork is for the distribution's
gRPC, with which children are not profiled, and --emulated for two faults of
qemu's: it fails an assertion of its own where a child of a process with threads makes
one, so that there is no child; and it knows one table of descriptors only, so that it
takes a pipe of the program's for the eventfd that the agent has by the same number in
its own table, and reads fail (EINVAL).
"""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import googlecloudprofiler

# Emulated, all takes ten times as long.
LIMIT_S = 150

python, folder = sys.argv[1:3]
emulated = sys.argv[3:] == ["--emulated"]
# The agent's numbers are low ones.
others = [os.open("/dev/null", os.O_RDONLY) for _ in range(64 * emulated)]
command = [python, "-m", "googlecloudprofiler"]
service = subprocess.Popen(
    [
        *(*command, "serve", "--address", "127.0.0.1:0", "--store", folder),
        *("--interval", "2", "--duration", "0.5", "--web", "off"),
    ],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    universal_newlines=True,
)
address = service.stdout.readline().split()[-1]
googlecloudprofiler.start(
    service="wheel", verbose=1, api_endpoint="http://" + address
)
end = threading.Event()


def busy():
    while not end.is_set():
        sum(range(10000))


def stored():
    """Pairs of a process and a type."""
    show = [*command, "show", "--store", folder, "--list", "--limit", "1000"]
    done = subprocess.Popen(show, stdout=subprocess.PIPE, universal_newlines=True)
    rows = [line.split() for line in done.communicate()[0].splitlines()[1:]]
    return {(int(row[-2]), row[4]) for row in rows}


# From 3.12 on Python minds threads at a fork, and ours are some.
warnings.simplefilter("ignore", DeprecationWarning)
child = None if sys.argv[3:] else os.fork()
if child == 0:
    busy()
threading.Thread(target=busy).start()
want = {(pid, kind) for pid in (os.getpid(), child) for kind in ("CPU", "WALL") if pid}
limit = time.time() + LIMIT_S
while not stored() >= want and time.time() < limit:
    time.sleep(0.5)
if child:
    os.kill(child, signal.SIGKILL)
end.set()
googlecloudprofiler.stop()
service.terminate()
service.communicate()
shown = subprocess.check_output(
    [*command, "show", "--store", folder, "--type", "CPU"],
    universal_newlines=True,
)
assert "busy" in shown, shown
names = {os.getpid(): "parent", child: "child"}
print("stored:", *sorted("%s %s" % (names[pid], kind) for pid, kind in stored()))
