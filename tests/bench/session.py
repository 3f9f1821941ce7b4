"""A run of host.py under a profiler, steered line by line."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import uuid

import peers
import proc
import program
import receiver

# Long enough for a profiler from outside to have read what it needs.
ATTACH_S = 1.5
PATIENCE_S = 120


class Died(Exception):
    """The profiled program or its profiler ended by itself."""


class Session:
    """A program under a contender, in a folder; on these CPUs."""

    def __init__(self, contender, folder, cpus):
        self.contender = contender
        self._folder = folder
        self._cpus = cpus
        self._outside = None
        self._receiver = None
        if contender.inside.startswith("pyroscope"):
            self._receiver = receiver.Receiver()
        self._errors = os.open(
            os.path.join(folder, "errors"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        environ = program.clean_environment(folder)
        environ.update(PYTHONPATH=contender.site, PYTHONHASHSEED="0")
        if self._receiver:
            environ["PUSH_URL"] = self._receiver.url
        self._child = self._launch(
            [contender.python.path, "-W", "ignore", str(peers.HERE / "host.py"),
             contender.inside],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
        )

    def _launch(self, command, **options):
        return subprocess.Popen(
            command,
            stderr=self._errors,
            cwd=self._folder,
            preexec_fn=self._prepare,
            **options,
        )

    def _prepare(self):
        os.sched_setaffinity(0, self._cpus)
        # A shell's background ignores it, and profilers from outside end by it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def __enter__(self):
        self._answer()
        return self

    def __exit__(self, *failure):
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        for process in filter(None, (self._child, self._outside)):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._child.stdout.close()
        os.close(self._errors)
        if self._receiver:
            self._receiver.close()

    def ask(self, *words):
        """The answer to a line."""
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write("\t".join(map(str, words)) + "\n")
            self._child.stdin.flush()
        return self._answer()

    def _answer(self):
        timer = threading.Timer(PATIENCE_S, self._child.kill)
        timer.start()
        line = self._child.stdout.readline()
        timer.cancel()
        if not line:
            raise Died(ending(self._child.wait()))
        return json.loads(line)

    def begin(self, kind, hz, seconds):
        self._what = kind, hz
        self._path = os.path.join(self._folder, uuid.uuid4().hex)
        if not self.contender.command:
            self.ask("begin", kind, hz, seconds, self._path)
            return
        self._outside = self._launch(
            self.contender.command(self._child.pid, kind, hz, self._path),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
        )
        time.sleep(ATTACH_S)

    def outside_cpu_s(self):
        """CPU seconds that the profiler has used if it is outside."""
        if not self._outside:
            return 0
        if self._outside.poll() is not None:
            raise Died("%s: %s" % (self.contender.name, ending(self._outside.poll())))
        return proc.cpu_seconds(self._outside.pid)

    def end(self):
        """Stop the profiler."""
        if not self._outside:
            self.ask("end")
            return
        self._outside.send_signal(signal.SIGINT)
        try:
            self._outside.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._outside.kill()
            raise Died("%s does not end" % self.contender.name) from None
        finally:
            self._outside = None

    def stacks(self):
        """What the profiler wrote of what was between begin() and end()."""
        if self._receiver:
            self._receiver.save(self._path)
        try:
            return self.contender.read(self._path, *self._what)
        except (OSError, ValueError, subprocess.CalledProcessError) as e:
            raise Died("no profile: %s" % e) from e


def ending(status):
    if status < 0:
        return signal.Signals(-status).name
    return "exit status %d" % status
