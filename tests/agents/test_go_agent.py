"""Google's own agent for Go at the local service: `make test-agents` builds it, as
CPROF_GO_AGENT."""

import os
import subprocess

import pytest
from fake_service import PATIENCE_S, eventually
from googlecloudprofiler import _native, _store
from serving import serving

AGENT = os.environ.get("CPROF_GO_AGENT")

# What it offers, what is shown of it by default, and what has to be in it.
TYPES = {
    "CPU": (("cpu", "nanoseconds"), "main.hashBlocks"),
    "HEAP": (("inuse_space", "bytes"), "main.keepMemory"),
    "THREADS": (("goroutine", "count"), "time.Sleep"),
    "HEAP_ALLOC": (("alloc_space", "bytes"), "main.hashBlocks"),
    "CONTENTION": (("delay", "nanoseconds"), "main.hashBlocks"),
}


@pytest.fixture
def service(tmp_path):
    """(address, store) of a service that asks often."""
    store = str(tmp_path / "store")
    with serving(store, "--interval", "5", "--duration", "1") as (address, _):
        yield address, store


@pytest.mark.skipif(not AGENT, reason="make test-agents runs this")
def test_all_that_it_offers_is_collected_and_decoded(service, tmp_path):
    address, store = service

    def newest():
        with _store.Store.open_existing(store) as opened:
            return {row.type: (row, opened.read(row)) for row in opened.find()[::-1]}

    with open(str(tmp_path / "log"), "wb") as log:
        agent = subprocess.Popen([AGENT, address], stdout=log, stderr=log)
    try:
        eventually(lambda: set(newest()) == set(TYPES), "a profile of each type")
    finally:
        agent.kill()
        agent.wait(PATIENCE_S)
    for kind, (row, data) in newest().items():
        value, function = TYPES[kind]
        profile = _native.decode_profile(data)
        assert profile["value_types"][profile["default"]] == value
        names = {line[0] for lines in profile["locations"] for line in lines}
        assert function in names
        assert row.target == "go-shop" and row.project == "local-1"
        wanted = {"language": "go", "version": "1.2", "zone": "here"}
        assert wanted.items() <= row.labels.items()
        assert row.time_unix_ns == profile["time_ns"] > 0
