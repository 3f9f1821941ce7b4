"""The local service as a process."""

import contextlib
import signal
import subprocess
import sys

from fake_service import PATIENCE_S


@contextlib.contextmanager
def serving(store, *options):
    """`serve` at a free port until the end of the block, where it must end well:
    (its address, what comes on its standard output after that)."""
    serve = subprocess.Popen(
        [
            *(sys.executable, "-m", "googlecloudprofiler", "serve"),
            *("--address", "127.0.0.1:0", "--store", str(store), *options),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    words = serve.stdout.readline().split()
    assert words[:2] == ["listening", "on"]
    yield words[2], serve.stdout
    serve.send_signal(signal.SIGTERM)
    serve.stdout.read()
    assert serve.wait(PATIENCE_S) == 0
    serve.stdout.close()
