"""Child processes with the package under test, steered line by line."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading

from fake_service import PATIENCE_S, eventually

# A folder with the package to test in place of the installed one.
SITE = os.environ.get("CPROF_SITE")
# What runs the programs.
PYTHON = os.environ.get("CPROF_PYTHON", sys.executable)

# What a machine may have set and the tests must not depend on.
_FOREIGN = (
    *("GOOGLE_", "GCLOUD_", "GAE_", "K_", "CLOUDSDK_", "GRPC_", "PYTHON", "GCE_"),
    *("NO_GCE_", "CLOUD_RUN_", "FUNCTION_", "KUBERNETES_", "SSL_CERT_", "http_proxy"),
    *("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "RES_"),
)


def clean_environment(home):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    environ["HOME"] = str(home)
    if SITE:
        environ["PYTHONPATH"] = SITE
    if sys.executable != PYTHON:
        # From 3.12 on Python minds threads at a fork, and ours are some.
        environ["PYTHONWARNINGS"] = "ignore::DeprecationWarning"
    return environ


class Program:
    """A running program: it prints lines, and reads lines to go on."""

    def __init__(self, directory, text, args=(), environ=None, python=PYTHON):
        self.path = str(directory / "program.py")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        self._errors = str(directory / "stderr")
        with open(self._errors, "wb") as errors:
            self._child = subprocess.Popen(
                [python, self.path, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                universal_newlines=True,
                env=dict(clean_environment(directory), **(environ or {})),
                cwd=str(directory),
            )
        self.pid = self._child.pid
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, timeout_s=PATIENCE_S):
        """The next line of its standard output."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            line = None
        if line is None:
            raise AssertionError("the program says nothing more\n" + self.stderr())
        return line

    def rest(self):
        """The lines that it said and nobody took, once it has ended."""
        self._reader.join(PATIENCE_S)
        lines = []
        while not self._lines.empty():
            lines.append(self._lines.get())
        return [line for line in lines if line is not None]

    def say(self, line=""):
        """Give it a line."""
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def signal(self, number):
        self._child.send_signal(number)

    def end(self, timeout_s=PATIENCE_S):
        """Its exit status, once it has ended."""
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError("the program does not end\n" + self.stderr()) from None

    def stderr(self):
        with open(self._errors, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_stderr(self, words):
        """Wait until it has said so on standard error."""
        try:
            eventually(lambda: words in self.stderr(), words)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.stderr())) from None

    def kill(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._child.stdin.close()
        self._child.stdout.close()

    def status(self, tid=None):
        """/proc/PID/status, or that of one of its threads, as a dict of texts."""
        path = "/proc/%d/" % self.pid
        path += "status" if tid is None else "task/%d/status" % tid
        with open(path, encoding="utf-8") as file:
            rows = (line.partition(":") for line in file)
            return {key: value.strip() for key, _, value in rows}

    def threads(self):
        """The names of its native threads, by number."""
        folder = "/proc/%d/task" % self.pid
        found = {}
        for tid in os.listdir(folder):
            path = os.path.join(folder, tid, "comm")
            # It may have ended since.
            gone = contextlib.suppress(FileNotFoundError, ProcessLookupError)
            with gone, open(path, encoding="utf-8") as file:
                found[int(tid)] = file.read().strip()
        return found

    def agent(self):
        """/proc/PID/task/TID/status of the agent's thread."""
        for tid, name in self.threads().items():
            if name == "cprof-agent":
                return self.status(tid)
        raise ProcessLookupError("the agent's thread is not there")

    def wait_collecting(self):
        """Wait until the agent takes samples, which nothing but many short sleeps
        shows from outside."""
        sleeps = []

        def slept_often():
            sleeps.append(int(self.agent()["voluntary_ctxt_switches"]))
            return sleeps[-1] > sleeps[0] + 20

        eventually(slept_often, "sampling")

    def wait_agent_rests(self):
        """Wait until the agent sleeps for long: whenever it is looked at it sleeps,
        and it has not been awake in between."""
        looks = []

        def rests():
            agent = self.agent()
            looks.append((agent["State"][0], agent["voluntary_ctxt_switches"]))
            return looks[-5:] == [("S", looks[-1][1])] * 5

        eventually(rests, "the agent at rest")

    def wait_asleep(self):
        """Wait until the main thread has blocked."""
        eventually(lambda: self.status()["State"].startswith("S"), "sleep")
