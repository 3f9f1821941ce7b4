"""The uploaded bytes, read by another protobuf implementation and by Go's pprof."""

import gzip
import re
import subprocess
import time

import pytest
from fake_service import FakeService, assign, pprof
from fixtures import Program
from profiles import Read, googles_pprof, line_of
from program import PYTHON

SECONDS = 1.5

PROGRAM = '''
import sys
import threading
import time
import googlecloudprofiler

go_on = True

def burn(n):  # burn starts
    while go_on:
        n = step(n)  # burn calls

def step(n):  # step starts
    for _ in range(500):
        n = n * 31 % 1000003  # step computes
    return n

class Worker:
    def run(self):  # run starts
        burn(1)  # run calls

def wait():
    sys.stdin.readline()  # wait waits

thread = threading.Thread(target=Worker().run, name="crunch-1")
thread.start()
googlecloudprofiler.start(service="web", period_ms=10)
wait()
go_on = False
thread.join()
'''


@pytest.fixture(scope="module")
def uploads(tmp_path_factory):
    """{"CPU" or "WALL": (bytes, Read, path of the program)} and when it was."""
    begin = time.time_ns()
    with FakeService() as service:
        service.on_create.extend([assign("CPU", SECONDS), assign("WALL", SECONDS)])
        program = Program(
            tmp_path_factory.mktemp("program"),
            PROGRAM,
            environ={"GOOGLE_CLOUD_PROFILER_ENDPOINT": service.endpoint},
        )
        try:
            calls = service.wait_updated(2)
            program.say()
            assert program.end() == 0, program.stderr()
        finally:
            program.kill()
    cpu, wall = (call.request.profile.profile_bytes for call in calls)
    return {
        "CPU": (cpu, Read(cpu), program.path),
        "WALL": (wall, Read(wall), program.path),
        "time": (begin, time.time_ns()),
    }


@pytest.fixture(params=["CPU", "WALL"])
def kind(request):
    return request.param


def test_types_and_period_are_named(uploads, kind):
    read = uploads[kind][1]
    name = kind.lower()
    assert read.types() == [("sample", "count"), (name, "nanoseconds")]
    assert read.text[read.raw.default_sample_type] == name
    period = read.raw.period_type
    assert (read.text[period.type], read.text[period.unit]) == (name, "nanoseconds")
    assert read.raw.period == 10000000


def test_time_and_duration_are_measured(uploads, kind):
    raw = uploads[kind][1].raw
    begin, end = uploads["time"]
    assert begin <= raw.time_nanos <= end
    assert raw.duration_nanos != SECONDS * 1e9
    assert SECONDS * 0.97e9 <= raw.duration_nanos <= SECONDS * 1.2e9


def test_every_reference_leads_somewhere(uploads, kind):
    raw = uploads[kind][1].raw
    nr = len(raw.string_table)
    assert raw.string_table[0] == ""
    assert len(set(raw.string_table)) == nr
    functions = [f.id for f in raw.function]
    locations = [location.id for location in raw.location]
    assert 0 not in functions
    assert 0 not in locations
    assert len(set(functions)) == len(functions)
    assert len(set(locations)) == len(locations)
    for f in raw.function:
        assert 0 < f.name < nr
        assert 0 <= f.system_name < nr
        assert 0 <= f.filename < nr
    for location in raw.location:
        assert location.line
        assert all(line.function_id in functions for line in location.line)
    for s in raw.sample:
        assert s.location_id
        assert set(s.location_id) <= set(locations)
        assert len(s.value) == 2
        assert min(s.value) >= 0
        assert all(0 < label.key < nr and 0 <= label.str < nr for label in s.label)
    assert all(0 < comment < nr for comment in raw.comment)


def test_nothing_in_it_is_unknown_to_the_format(uploads, kind):
    data, read, _ = uploads[kind]
    known = pprof.Profile.FromString(gzip.decompress(data))
    known.DiscardUnknownFields()
    assert known == read.raw
    assert known.ByteSize() == read.raw.ByteSize()


def test_equal_samples_are_one(uploads, kind):
    seen = [
        (tuple(s.location_id), tuple((x.key, x.str, x.num) for x in s.label))
        for s in uploads[kind][1].raw.sample
    ]
    assert len(set(seen)) == len(seen)


def test_the_busy_stack_is_told_leaf_first_with_its_lines(uploads, kind):
    _, read, path = uploads[kind]
    frames = max(
        (
            (values[1], frames)
            for frames, values, _ in read.stacks
            if frames[0][0] == "step"
        ),
        key=lambda pair: pair[0],
    )[1]
    start = {
        name: line_of(PROGRAM, name + " starts") for name in ("burn", "step", "run")
    }
    assert frames[0][:2] == ("step", path)
    assert frames[0][2] in range(start["step"] + 1, start["step"] + 4)
    assert frames[0][3] == start["step"]
    assert frames[1] == (
        "burn",
        path,
        line_of(PROGRAM, "burn calls"),
        start["burn"],
    )
    assert frames[2] == (
        "Worker.run",
        path,
        line_of(PROGRAM, "run calls"),
        start["run"],
    )
    assert [f[0] for f in frames[3:]] == [
        "Thread.run",
        "Thread._bootstrap_inner",
        "Thread._bootstrap",
    ]
    assert all(f[1] == "/".join(f[1].split("/")) and f[3] > 0 for f in frames)


def test_cpu_is_of_the_busy_thread(uploads):
    read = uploads["CPU"][1]
    assert read.share_with(lambda f: f[0] == "step") > 0.9
    # It wants a whole core, and gets what the machine can spare.
    assert 0.1 * SECONDS * 1e9 < read.total() < 1.2 * SECONDS * 1e9


def test_wall_has_each_thread_all_the_time(uploads):
    _, read, path = uploads["WALL"]
    by_thread = {}
    for frames, values, labels in read.stacks:
        by_thread.setdefault(labels.get("thread_id"), []).append((frames, values[1]))
    totals = sorted(sum(v for _, v in stacks) for stacks in by_thread.values())
    # The third, if there, is the agent's own, with a word for the program's logger.
    assert len(totals) in (2, 3)
    for total in totals[-2:]:
        assert total == pytest.approx(read.raw.duration_nanos, rel=0.05)
    assert sum(totals[:-2]) < 0.05 * read.raw.duration_nanos
    waiting = [
        frames[-3:]
        for frames, _, labels in read.stacks
        if frames[-1][0] == "<module>"
    ]
    line = (path, line_of(PROGRAM, "wait waits"))
    assert line in [frame[1:3] for frames in waiting for frame in frames]


def test_samples_carry_the_thread(uploads, kind):
    for frames, _, labels in uploads[kind][1].stacks:
        if frames[0][0] == "step":
            assert labels["thread"]
            assert labels["thread_id"] > 0


def test_a_thread_has_its_name(uploads, kind):
    told = "import threading; print(hasattr(threading, 'get_native_id'))"
    if subprocess.check_output([PYTHON, "-c", told]) != b"True\n":
        pytest.skip("before 3.8 threads know no id of the kernel's")
    names = {
        labels["thread"]
        for frames, _, labels in uploads[kind][1].stacks
        if frames[0][0] == "step"
    }
    assert names == {"crunch-1"}


def test_a_comment_tells_what_the_sampler_took(uploads, kind):
    (comment,) = uploads[kind][1].comments()
    cost = re.match(r"sampler: ([\d.]+) ms of CPU \(([\d.]+) % of a core\), ", comment)
    assert cost
    assert 0 < float(cost.group(1)) < 1000 * SECONDS
    assert "dropped" in comment


def test_go_pprof_shows_the_same(uploads, kind, tmp_path):
    data, read, _ = uploads[kind]
    file = tmp_path / "profile.pb.gz"
    file.write_bytes(data)
    said = googles_pprof(
        tmp_path, "-top", "-unit=ns", "-nodecount=0", "-nodefraction=0", file
    )
    assert "Type: %s" % kind.lower() in said
    # flat flat% sum% cum cum% name
    rows = [line.split(None, 5) for line in said.splitlines()]
    flat = {row[5]: int(row[0][:-2]) for row in rows if row and row[0].endswith("ns")}
    own = sum(values[1] for frames, values, _ in read.stacks if frames[0][0] == "step")
    assert flat["step"] == pytest.approx(own, rel=0.001)
    assert sum(flat.values()) == pytest.approx(read.total(), rel=0.001)


@pytest.mark.parametrize("wall_threads", ["all", "main"])
def test_wall_threads_says_whose_wall_time_it_is(service, launch, wall_threads):
    """What waits says so in its label; CPU profiles are of all threads, always."""
    service.on_create.extend([assign("CPU", 0.5), assign("WALL", 0.5)])
    text = PROGRAM.replace("period_ms=10", "wall_threads='%s'" % wall_threads)
    program = launch(text, service=service)
    cpu, wall = (Read(c.request.profile.profile_bytes) for c in service.wait_updated(2))
    program.say()
    assert program.end() == 0
    assert {frames[0][0] for frames, _, _ in cpu.stacks} >= {"step"}
    seen = {frame[0] for frames, _, _ in wall.stacks for frame in frames}
    assert "wait" in seen
    assert ("step" in seen) == (wall_threads == "all")
    states = {
        labels.get("state")
        for frames, _, labels in wall.stacks
        if "wait" in [frame[0] for frame in frames]
    }
    assert "io" in states
