"""What a user does first: profiles a program against the local service. Prints the
types that were stored. Runs on 3.6 to 3.15, wherever a wheel was unpacked.

Usage: use.py PYTHON FOLDER     PYTHON is what starts an interpreter like this one
"""

import subprocess
import sys

import googlecloudprofiler

# Emulated, all takes ten times as long.
LIMIT_S = 150

python, folder = sys.argv[1:]
command = [python, "-m", "googlecloudprofiler"]
service = subprocess.Popen(
    [
        *(*command, "serve", "--address", "127.0.0.1:0", "--store", folder),
        *("--interval", "0.1", "--duration", "1"),
        *("--until", "2", "--timeout", str(LIMIT_S)),
    ],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    universal_newlines=True,
)
address = service.stdout.readline().split()[-1]
googlecloudprofiler.start(
    service="wheel", verbose=1, api_endpoint="http://" + address
)


def busy():
    while service.poll() is None:
        sum(range(10000))


busy()
googlecloudprofiler.stop()
with service.stdout as said:
    assert service.returncode == 0, said.read()
shown = subprocess.check_output(
    [*command, "show", "--store", folder, "--type", "CPU"],
    universal_newlines=True,
)
assert "busy" in shown, shown
listed = subprocess.check_output(
    [*command, "show", "--store", folder, "--list"],
    universal_newlines=True,
)
print("stored:", *[kind for kind in ("CPU", "WALL") if kind in listed])
