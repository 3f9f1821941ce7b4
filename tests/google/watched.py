"""A program with the agent, and every word that it says."""

import json

PROGRAM = """
import functools
import json
import logging
import sys
import threading
import time

import googlecloudprofiler
from googlecloudprofiler import _native, _network, _platform, _tokens

told = json.loads(sys.argv[1])
lock = threading.Lock()

def say(*words):
    with lock:
        print(json.dumps(words), flush=True)

class Handler(logging.Handler):
    def emit(self, record):
        say(record.levelname, record.getMessage())

logging.getLogger().addHandler(Handler())
for name, value in told["patch"].items():
    module, _, name = name.partition(".")
    value = tuple(value) if isinstance(value, list) else value
    setattr(globals()[module], name, value)
# From 20 ms up to 100, where it would be a minute to an hour.
_native.start = functools.partial(_native.start, backoff_ns=(20000000, 100000000))
options = dict({"service": "web", "verbose": 3}, **told["start"])
#before#
began = time.monotonic()
try:
    googlecloudprofiler.start(**options)
    say("STARTED", time.monotonic() - began)
except Exception as e:
    say("RAISED", time.monotonic() - began, type(e).__name__, str(e))
for line in sys.stdin:
    if line.strip() == "end":
        break
    exec(line)
began = time.monotonic()
googlecloudprofiler.stop()
say("STOPPED", time.monotonic() - began)
"""


class Watched:
    """The program. `started_s` is what start() took; `raised` is the name of the
    error that it raised and its text, or None."""

    def __init__(self, launch, start, patch, before, environ):
        told = json.dumps({"start": start, "patch": patch})
        text = PROGRAM.replace("#before#", before)
        self._program = launch(text, told, **environ)
        self.records = []  # (level, message), as read so far
        self._heard = 0  # of them, how many hear() has been through
        self.raised = None
        row = self._next()
        while row[0] not in ("STARTED", "RAISED"):
            row = self._next()
        self.started_s = row[1]
        if row[0] == "RAISED":
            self.raised = tuple(row[2:])

    def _next(self):
        row = json.loads(self._program.line())
        if row[0] not in ("STARTED", "RAISED", "STOPPED"):
            self.records.append(tuple(row))
        return row

    def hear(self, words, level=None, count=1):
        """Wait for the next `count` records with these words, of which some may have
        come before start() returned; the last message."""
        while True:
            for at, message in self.records[self._heard :]:
                self._heard += 1
                count -= words in message and level in (None, at)
                if not count:
                    return message
            self._next()

    def run(self, line):
        """Let the program run a line of Python."""
        self._program.say(line)

    def end(self):
        """End it, and see that it stopped in time and had nothing for stderr; the
        messages at WARNING and above, over its life."""
        self._program.say("end")
        row = self._next()
        while row[0] != "STOPPED":
            row = self._next()
        assert row[1] < 1.5
        assert self._program.end() == 0
        assert self._program.stderr() == ""
        assert self._program.rest() == []
        return [m for level, m in self.records if level in ("WARNING", "ERROR")]

    def text(self):
        """All that it said, wherever."""
        rows = [" ".join(record) for record in self.records]
        return "\n".join([*rows, self._program.stderr(), repr(self.raised)])
