"""In one process with packages that have a gRPC core, an OpenSSL or a protobuf of their
own, all at work at once: what they do, and say, is what they do and say without us."""

import json
import os

import pytest
from database import Database
from fake_service import assign
from profiles import Read

pytestmark = pytest.mark.skipif(
    not os.environ.get("CPROF_WHEELS"),
    reason="make test-wheels runs these, with requirements/neighbours.txt",
)

PROGRAM = """
import json
import sys
import threading
from concurrent import futures

import company

order, folder, together = sys.argv[1:]

def profile():
    import googlecloudprofiler
    googlecloudprofiler.start(service="company")
    return googlecloudprofiler

def meet():
    if together:
        sys.setdlopenflags(int(together))
    neighbours = [kind(folder) for kind in company.NEIGHBOURS]
    for neighbour in neighbours:
        neighbour.once()
    return neighbours

def go_on(neighbour):
    while not told.is_set():
        neighbour.once()

us = None
if order == "after":
    us = profile()
    print("alone", flush=True)
    sys.stdin.readline()
neighbours = meet()
if order == "before":
    us = profile()
told = threading.Event()
with futures.ThreadPoolExecutor(len(neighbours)) as pool:
    at_work = [pool.submit(go_on, n) for n in neighbours]
    print("at work", flush=True)
    sys.stdin.readline()
    told.set()
    for work in at_work:
        work.result()
if us:
    us.stop()
for neighbour in neighbours:
    neighbour.once()
    neighbour.close()
print(json.dumps([n.facts() for n in neighbours]), flush=True)
"""


@pytest.fixture(scope="module")
def database(authority):
    with Database(authority) as d:
        yield d


@pytest.fixture
def begin(launch, authority, settings, database):
    """begin(order, together=None, endpoint="") runs PROGRAM. `together` are flags of
    dlopen() for the neighbours, if not Python's."""

    def run(order, together=None, endpoint=""):
        return launch(
            PROGRAM,
            *(order, str(authority.folder), str(int(together)) if together else ""),
            CPROF_DATABASE=database.address,
            GOOGLE_CLOUD_PROFILER_ENDPOINT=endpoint,
            **settings,
        )

    return run


def finish(program):
    """Facts about each neighbour, and what was said."""
    program.say()
    facts = json.loads(program.line())
    assert program.end() == 0, program.stderr()
    return facts, program.stderr()


# With RTLD_GLOBAL, all that they define is offered to whoever is loaded later.
@pytest.mark.parametrize(
    "together", [None, os.RTLD_NOW | os.RTLD_GLOBAL], ids=["apart", "together"]
)
@pytest.mark.parametrize("order", ["before", "after"])
def test_neighbours_at_work_and_profiled(begin, secure, order, together):
    alone = begin("alone", together)
    assert alone.line() == "at work"
    without_us = finish(alone)

    secure.on_create.append(assign("CPU", 0.2))
    secure.create_default = assign("WALL", 0.2)
    program = begin(order, together, secure.endpoint)
    if order == "after":
        assert program.line() == "alone"
        secure.wait_updated(1)
        program.say()
    assert program.line() == "at work"
    nr = len(secure.updated)
    # The next window may have begun earlier.
    updated = secure.wait_updated(nr + 3)
    assert finish(program) == without_us
    profile = Read(updated[-1].request.profile.profile_bytes)
    assert profile.share_with(lambda f: f[0].endswith("go_on")) > 0


def test_a_configuration_of_openssl_is_not_ours(launch, secure, settings, tmp_path):
    """One that leaves every other OpenSSL of the process without a cipher."""
    path = tmp_path / "openssl.cnf"
    path.write_text(
        "openssl_conf = all\n[all]\nproviders = none\n"
        "[none]\nnone = nothing\n[nothing]\nactivate = 1\n"
    )
    secure.create_default = assign("CPU", 0.1)
    program = launch(
        """
import ssl
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
try:
    ssl.create_default_context()
    print("ciphers", flush=True)
except ssl.SSLError as e:
    print(e.reason, flush=True)
sys.stdin.readline()
""",
        service=secure,
        OPENSSL_CONF=str(path),
        **settings,
    )
    if program.line() == "ciphers":
        pytest.skip("the OpenSSL of this Python does not obey it, too")
    secure.wait_updated(1)
    program.say()
    assert program.end() == 0
    assert program.stderr() == ""
