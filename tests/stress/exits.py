"""End in the middle of things. Usage: exits.py HOW SEED, as weather.py."""

import os
import random
import signal
import sys
import threading
import time

import weather
from googlecloudprofiler import _native


def windows():
    while True:
        _native.collect("WALL", 20000000, 100000)


def main():
    how = sys.argv[1]
    random.seed(int(sys.argv[2]))
    works = [windows, weather.recursion, weather.threads, weather.generators]
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    time.sleep(random.random() * 0.1)
    sys.excepthook = lambda *error: None
    if how == "_exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exec":
        os.execv("/bin/sh", ["sh", "-c", "exit 7"])
    if how == "raise":
        raise RuntimeError
    sys.exit(7)


if __name__ == "__main__":
    main()
