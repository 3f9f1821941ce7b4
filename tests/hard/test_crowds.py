"""Thousands of threads, and tens of thousands of frames."""

from place import SPIN, ask, finish, names, profiles, program_in, time_of

NR = 4000

CROWD = """
threading.stack_size(128 << 10)
gate = threading.Lock()
gate.acquire()

def idle():
    gate.acquire()
    gate.release()

for _ in range(%d):
    threading.Thread(target=idle, daemon=True).start()
threading.stack_size(0)
""" % NR


def test_four_thousand_threads_have_their_wall_time_and_one_the_cpu(service, launch):
    ask(service, 1.0, 1.0)
    program = launch(program_in(work=CROWD + SPIN), service=service)
    cpu, wall = profiles(service)
    spent = {}
    for frames, values, labels in wall.stacks:
        if "idle" in names(frames):
            tid = labels["thread_id"]
            spent[tid] = spent.get(tid, 0) + values[1]
    assert len(spent) == NR
    duration = wall.raw.duration_nanos
    assert 0.95 * duration < min(spent.values())
    assert max(spent.values()) < 1.05 * duration
    assert not time_of(wall, "[dropped]")
    of_program = cpu.total() - time_of(cpu, "[profiler]")
    assert time_of(cpu, "spin") > 0.8 * of_program, cpu.comments()
    assert finish(program) == []


# Up to 3.10 each of its frames takes some of the C stack, too.
DEEP = """
sys.setrecursionlimit(60000)
threading.stack_size(1 << 30)

def recurse(n):
    if n:
        recurse(n - 1)
    else:
        at_the_leaf()

def at_the_leaf():
    arrived.set()
    while True:
        sum(range(1000))

def near_the_root():
    recurse(50000)

arrived = threading.Event()
threading.Thread(target=near_the_root, daemon=True).start()
arrived.wait()
threading.stack_size(0)
"""


def test_fifty_thousand_frames_are_too_deep_to_name_all_and_keep_their_time(
    service, launch
):
    ask(service, 1.0, 1.0)
    program = launch(program_in(DEEP), service=service)
    cpu, wall = profiles(service)
    # Each of the two has the GIL for half of the time.
    assert 0.2 < time_of(cpu, "at_the_leaf") / cpu.total() < 0.8, cpu.comments()
    (tid,) = {
        labels["thread_id"]
        for frames, _, labels in cpu.stacks
        if "at_the_leaf" in names(frames)
    }
    of_thread = [v[1] for _, v, labels in cpu.stacks if labels.get("thread_id") == tid]
    assert time_of(cpu, "at_the_leaf") > 0.9 * sum(of_thread)
    spent = time_of(wall, "at_the_leaf") / wall.raw.duration_nanos
    assert 0.95 < spent < 1.05
    for read in (cpu, wall):
        (shown,) = {
            tuple(n for n in names(frames) if not n.startswith("<built-in "))
            for frames, _, _ in read.stacks
            if "at_the_leaf" in names(frames)
        }
        assert shown[0] == "at_the_leaf"
        assert set(shown[1:448]) == {"recurse"}
        assert shown[448] == "[...]"
        assert shown[-1] == "[too deep]"
    assert finish(program) == []
