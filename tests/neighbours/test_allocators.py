"""Another malloc, preloaded: profiles are made, nothing is said, the end is clean."""

import pathlib

import pytest
from fake_service import assign

ALLOCATORS = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4")

PROGRAM = """
import sys
import threading
import googlecloudprofiler

def allocate():
    while not ended.is_set():
        kept[:] = [bytearray(n) for n in range(0, 100000, 1000)]

kept = []
ended = threading.Event()
threads = [threading.Thread(target=allocate) for _ in range(3)]
for thread in threads:
    thread.start()
googlecloudprofiler.start(service="web")
sys.stdin.readline()
if sys.argv[1] == "stop":
    googlecloudprofiler.stop()
ended.set()
for thread in threads:
    thread.join()
print("end", flush=True)
"""


@pytest.fixture(params=ALLOCATORS)
def allocator(request):
    for folder in ("/usr/lib", "/usr/local/lib"):
        for path in pathlib.Path(folder).glob("**/" + request.param):
            return str(path)
    return pytest.skip("this machine has no " + request.param)


@pytest.mark.parametrize("end", ["stop", "exit"])
def test_profiles_with_another_malloc(launch, secure, settings, allocator, end):
    secure.on_create.append(assign("CPU", 0.2))
    secure.create_default = assign("WALL", 0.2)
    program = launch(
        PROGRAM, end, service=secure, **dict(settings, LD_PRELOAD=allocator)
    )
    updated = secure.wait_updated(3)
    maps = pathlib.Path("/proc/%d/maps" % program.pid).read_text()
    assert allocator in maps or str(pathlib.Path(allocator).resolve()) in maps
    program.say()
    assert program.line() == "end"
    assert program.end() == 0
    assert program.stderr() == ""
    assert all(call.request.profile.profile_bytes for call in updated)
