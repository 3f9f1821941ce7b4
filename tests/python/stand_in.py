"""A stand-in for the native module, so that start() can be called many times."""

import logging
import os

import pytest
from googlecloudprofiler import _agent, _platform

# What a machine may have set and start() looks at.
FOREIGN = ("GOOGLE_", "GCLOUD_", "GAE_", "GCE_", "NO_GCE_", "K_", "CLOUD", "FUNCTION_",
           "KUBERNETES_", "SSL_CERT_", "GRPC_", "https_proxy", "HTTPS_PROXY")


class Native:
    """In place of the native module: notes what it would have been started with.

    `asked` has what it would have asked a metadata server for; `project` is what that
    would have answered, or raised.
    """

    def __init__(self):
        self.started = []
        self.asked = []
        self.project = OSError("no metadata server")
        self.stopped = 0
        self.failure = None

    def walk_self(self):
        raise AssertionError("the self-test is not run here")

    def speak_through(self, speaker, hearer):
        pass

    def call_in_child(self, hook):
        pass

    def running(self):
        return len(self.started) > self.stopped

    def metadata(self, host, key, timeout_s):
        self.asked.append((host, key, timeout_s))
        if isinstance(self.project, Exception):
            raise self.project
        return self.project

    def read_token(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def give_token(self, token, left_s):
        return True

    def give_no_token(self, why, refused):
        pass

    def start(self, **options):
        if self.failure:
            raise self.failure
        self.started.append(options)

    def stop(self, patience_s=0.0):
        self.stopped += 1


@pytest.fixture
def native(monkeypatch, tmp_path):
    """A fresh process, as far as start() can see."""
    fake = Native()
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setattr(_platform, "DMI_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(_agent, "_load_native", lambda: fake)
    monkeypatch.setattr(_agent._selftest, "run", lambda walk: None)
    monkeypatch.setattr(_agent._State, "started", False)
    monkeypatch.setattr(_agent._State, "native", None)
    monkeypatch.setattr(_agent._State, "source", None)
    monkeypatch.setattr(_agent._State, "exit_hook", True)
    level = logging.getLogger("googlecloudprofiler").level
    yield fake
    logging.getLogger("googlecloudprofiler").setLevel(level)
