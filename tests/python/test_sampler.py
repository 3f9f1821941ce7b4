"""The sampler tells the truth: what it shows of a running program is what the
program did. Each program runs in an interpreter of its own."""

import dis
import importlib.util
import json
import os
import sys
import threading
import types

import pytest
from googlecloudprofiler import _native, _selftest

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.implementation.name != "cpython",
    reason="made for CPython 3.11",
)

BENCH = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"
)

# More than sixty are there in 3.11; some come and go.
MODULES = """
    _pydecimal _pydatetime _pyio _strptime abc aifc argparse ast asyncio.base_events
    asyncio.tasks base64 bdb bisect calendar cgi cmd codecs collections.__init__
    concurrent.futures.process configparser contextlib copy csv
    dataclasses datetime difflib dis doctest email.header email._header_value_parser
    enum fractions ftplib functools gettext gzip heapq html.parser http.client
    http.cookiejar imaplib inspect ipaddress json.decoder json.encoder logging.__init__
    mailbox mimetypes optparse os pathlib pdb pickle pickletools platform plistlib
    pprint pydoc random re._compiler re._parser selectors shlex shutil smtplib
    socketserver ssl statistics string subprocess tarfile tempfile
    textwrap threading tokenize traceback turtle typing unittest.mock urllib.parse
    urllib.request uuid weakref xml.dom.minidom xml.etree.ElementTree zipfile
    zoneinfo._zoneinfo
""".split()  # noqa: SIM905

# sample() is a profile of what runs meanwhile, as tuples (frames, count, ns, thread
# id); a frame is (qualified name, file, line, first line), leaf first.
BEGIN = """
import _thread, asyncio, json, marshal, os, sys, threading, time

from googlecloudprofiler import _native

def sample(kind="WALL", seconds=0.5, hz=500):
    data = _native.collect(kind, int(seconds * 1e9), int(1e9 / hz))
    profile = _native.decode_profile(data)
    out = []
    for locations, (count, ns), labels in profile["samples"]:
        frames = [tuple(profile["locations"][i][0]) for i in locations]
        out.append((frames, count, ns, dict((k, v) for k, v, _ in labels)))
    return out

def names(frames):
    return [f[0] for f in frames]

stop = False

def spin():
    x = 0
    while not stop:
        x += 1

def sample_while(function, **how):
    '''sample() while `function` runs in a thread: it must end once `stop` is set.'''
    global stop
    thread = threading.Thread(target=function)
    thread.start()
    time.sleep(0.05)
    try:
        return sample(**how)
    finally:
        stop = True
        thread.join()

def whole(samples, leaf="spin"):
    '''The frames of the commonest stack with this leaf, on whichever of its lines,
    and its part of all.'''
    found = {}
    for frames, count, _, _ in samples:
        if frames[0][0] == leaf:
            key = tuple((name, file) for name, file, _, _ in frames)
            found[key] = found.get(key, 0) + count
    assert found, [names(s[0])[:5] for s in samples]
    best = max(found, key=found.get)
    return best, found[best] / sum(found.values())

def seconds(samples, *roots):
    '''The time in stacks with one of these functions in them.'''
    return sum(s[2] for s in samples if set(roots) & set(names(s[0]))) / 1e9
"""


@pytest.fixture
def show(run_python):
    """show(text, *args) runs a program and is what it printed as JSON."""

    def run(text, *args):
        done = run_python(BEGIN + text, *[str(a) for a in args], timeout=120)
        return json.loads(done.stdout)

    return run


def code_objects(code):
    yield code
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from code_objects(item)


def told_lines(code):
    """The line of each code unit, as Python says; 0 for none."""
    lines = [0] * (len(code.co_code) // 2)
    for start, end, line in code.co_lines():
        lines[start // 2 : end // 2] = [line or 0] * ((end - start) // 2)
    return lines


def read_lines(code):
    return [
        _native.line_at(code.co_linetable, code.co_firstlineno, i)
        for i in range(len(code.co_code) // 2)
    ]


def sources():
    for name in MODULES:
        parent = name.rpartition(".")[0]
        if parent and not importlib.util.find_spec(parent):
            continue
        spec = importlib.util.find_spec(name)
        if spec and spec.origin and spec.origin.endswith(".py"):
            with open(spec.origin, "rb") as file:
                yield spec.origin, file.read()


def test_every_instruction_of_the_standard_library_has_its_line():
    modules = instructions = 0
    for origin, source in sources():
        modules += 1
        for code in code_objects(compile(source, origin, "exec", dont_inherit=True)):
            told = told_lines(code)
            assert read_lines(code) == told, (origin, code.co_qualname)
            instructions += len(told)
    assert modules >= 60
    assert instructions > 300000


def test_dis_agrees_about_lines():
    """By another way through CPython than co_lines()."""
    source = (
        "def f(a):\n  if a:\n    return [\n      x\n      for x in a]\n"
        + "\n" * 300
        + "  with a as b, b as c:\n    raise c\n  return -1\n"
    )
    for code in code_objects(compile(source, "f", "exec")):
        for i in dis.get_instructions(code, show_caches=True):
            index = i.offset // 2
            got = _native.line_at(code.co_linetable, code.co_firstlineno, index)
            assert got == (i.positions.lineno or 0)
        for offset, started in dis.findlinestarts(code):
            got = _native.line_at(code.co_linetable, code.co_firstlineno, offset // 2)
            assert got == (started or 0)


def test_no_line_before_or_after_the_table():
    code = compile("a\nb\n", "f", "exec")
    end = len(code.co_code) // 2
    for index in (end, end + 1, 2**31, 2**32 - 1):
        assert _native.line_at(code.co_linetable, 1, index) == 0
    assert _native.line_at(b"", 1, 0) == 0


def test_selftest_accepts_the_real_walk():
    _selftest.run(_native.walk_self)


def altered(stack, at, **fields):
    """`stack` with some fields of the frame at index `at` changed."""
    frame = dict(zip(("name", "file", "line", "first"), stack[at]), **fields)
    return [*stack[:at], tuple(frame.values()), *stack[at + 1 :]]


LIES = [
    ("no stack", lambda stack: []),
    ("no leaf", lambda stack: stack[1:]),
    ("no root", lambda stack: stack[:-1]),
    ("a caller left out", lambda stack: stack[:1] + stack[2:]),
    ("twice", lambda stack: stack[:1] + stack),
    ("a name", lambda stack: altered(stack, 0, name="lie")),
    ("a file", lambda stack: altered(stack, 0, file="lie")),
    ("a line", lambda stack: altered(stack, 0, line=1)),
    ("a first line", lambda stack: altered(stack, 0, first=1)),
    ("a caller's line", lambda stack: altered(stack, 1, line=1)),
    ("a pseudo frame", lambda stack: [(-256, None, 0, 0), *stack[1:]]),
]


@pytest.mark.parametrize("lie", [f for _, f in LIES], ids=[n for n, _ in LIES])
@pytest.mark.parametrize("look", range(5))
def test_selftest_refuses_a_walk_that_lies_once(lie, look):
    """At whichever of its looks; in a shallow stack, so that the root counts."""
    calls = []
    raised = []

    def walk():
        stack = _native.walk_self()[1:]  # less this frame
        calls.append(stack)
        return lie(stack) if len(calls) == look + 1 else stack

    def run():
        try:
            _selftest.run(walk)
        except NotImplementedError as e:
            raised.append(str(e))

    in_thread(run)
    assert len(calls) == 5
    assert len(raised) == 1
    assert "its self-test found" in raised[0]
    assert sys.version.split()[0] in raised[0]


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_selftest_names_the_difference():
    def walk():
        stack = _native.walk_self()[1:]
        return altered(stack, 0, name="liar")

    with pytest.raises(NotImplementedError) as e:
        _selftest.run(walk)
    assert "found ('liar', " in str(e.value)
    assert "Python says ('_collect.<locals>.look', " in str(e.value)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_selftest_refuses_a_walk_that_fails(error):
    def walk():
        raise error("what is missing")

    with pytest.raises(NotImplementedError, match="what is missing") as e:
        _selftest.run(walk)
    own_words = str(e.value) == "what is missing"
    assert own_words == (error is NotImplementedError)


EXEC_CHURN = """
loops = int(sys.argv[1])

def churn():
    n = 0
    while not stop:
        n += 1
        source = "\\n" * (n % 97) + (
            "def g_%d(k):\\n    x = 0\\n    for i in range(k):\\n        x += i\\n"
            "    return x\\ndef f_%d(k):\\n    return g_%d(k)\\n" % (n, n, n))
        space = {}
        exec(compile(source, "file_%d.py" % n, "exec"), space)
        space["f_%d" % n](loops)

def is_right(frame, caller):
    name, file, line, first = frame
    n = int(name[2:])
    base = n % 97
    if file != "file_%d.py" % n:
        return False
    if name[0] == "f":
        return first == base + 6 and base + 6 <= line <= base + 7 and (
            caller[0] == "churn")
    return first == base + 1 and base + 1 <= line <= base + 5 and (
        caller[0] in ("f_%d" % n, "[code gone]"))

named = gone = 0
bad = []
for frames, count, _, _ in sample_while(churn, seconds=2, hz=1000):
    for frame, caller in zip(frames, frames[1:]):
        if frame[0][:2] in ("f_", "g_"):
            named += count
            if not is_right(frame, caller):
                bad.append((frame, caller))
        gone += count * (frame[0] == "[code gone]")
print(json.dumps({"named": named, "gone": gone, "bad": bad}))
"""


@pytest.mark.parametrize("loops, least", [(100, 0), (1000, 100), (20000, 300)])
def test_code_that_lives_shortly_is_never_misnamed(show, loops, least):
    seen = show(EXEC_CHURN, loops)
    assert seen["bad"] == []
    assert seen["named"] >= least, seen
    assert seen["named"] + seen["gone"] >= 50, seen


# Eight bodies that differ in where their lines are, and callers that say which.
RELOAD = """
loops = int(sys.argv[1])
VARIANTS = 8

def make(v):
    lines = ["def f(k):"] + [""] * (20 * v) + [
        "    x = 0", "    for i in range(k):", "        x += i", "        x -= 1",
        "    return x"]
    return marshal.dumps(compile("\\n".join(lines), "reload.py", "exec"))

callers = {}
for v in range(VARIANTS):
    exec("def run_%d(f): return f(loops)" % v, {"loops": loops}, callers)
callers = [callers["run_%d" % v] for v in range(VARIANTS)]
blobs = [make(v) for v in range(VARIANTS)]

def churn():
    n = 0
    while not stop:
        n += 1
        v = n * n % 7 % VARIANTS if n % 2 else n // 2 % VARIANTS
        space = {}
        exec(marshal.loads(blobs[v]), space)
        callers[v](space["f"])

named = gone = 0
bad = []
seen = set()
for frames, count, _, _ in sample_while(churn, seconds=2, hz=1000):
    for (name, file, line, first), caller in zip(frames, frames[1:]):
        if not caller[0].startswith("run_"):
            continue
        gone += count * (name == "[code gone]")
        if name == "f":
            named += count
            v = int(caller[0][4:])
            seen.add(v)
            start = 20 * v + 2
            # 1 is where the instruction RESUME stands.
            if file != "reload.py" or first != 1 or not (
                    start <= line < start + 5 or line == 1):
                bad.append((line, caller, count))
print(json.dumps({"named": named, "gone": gone, "bad": bad, "variants": len(seen)}))
"""


# On a machine with nothing else to do, code that lives for some microseconds is gone
# before it is read: then it must say so.
@pytest.mark.parametrize("loops, least", [(20, 0), (200, 0), (5000, 500)])
def test_code_loaded_again_and_again_keeps_its_lines(show, loops, least):
    seen = show(RELOAD, loops)
    assert seen["bad"] == []
    assert seen["named"] >= least, seen
    assert seen["named"] + seen["gone"] >= 100, seen
    assert seen["variants"] == 8 or not least


EDGES = """
import warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import edges

total = bad = unsettled = 0
for name in ("json encoder", "tokenize", "ast.unparse"):
    work = edges.WORKLOADS[name]
    counts = edges.judge(edges.sample(work, 1.5, 1000), edges.true_edges(work), name)
    total, bad, unsettled = total + counts[0], bad + counts[1], unsettled + counts[2]
print(json.dumps({"stacks": total, "impossible": bad, "unsettled": unsettled}))
"""


def test_impossible_callers_are_rare(show):
    seen = show(EDGES, BENCH)
    assert seen["stacks"] > 2000, seen
    assert seen["impossible"] <= 0.0005 * seen["stacks"], seen
    assert seen["unsettled"] <= 0.35 * seen["stacks"], seen


def test_names_are_qualified_and_in_every_script(show):
    text = """
class Outer:
    class Inner:
        def method(self):
            def local():
                return (lambda: [self.last(i) for i in range(1)])()
            return local()

        @staticmethod
        def last(_):
            return sum(gr\u00f6\u00dfe() for _ in range(1))

def gr\u00f6\u00dfe():
    return \u5909\u6570()

def \u5909\u6570():
    return {k: odd_files() for k in range(1)}

def odd_files():
    call = spin
    for file in FILES:
        space = {"call": call}
        exec(compile("def %s(): return call()" % NAME, file, "exec"), space)
        call = space[NAME]
    return call()

NAME = "\U00020000_\u03b1"
FILES = ["caf\u00e9.py", "\u65e5\u672c.py", "\U0001f600.py", "gone\\udce9\\ud800.py"]
frames, part = whole(sample_while(Outer.Inner().method))
print(json.dumps([frames, part]))
"""
    frames, part = show(text)
    name = "\U00020000_\u03b1"
    method = "Outer.Inner.method"
    want = [
        ("spin", None),
        (name, "caf\u00e9.py"),
        (name, "\u65e5\u672c.py"),
        (name, "\U0001f600.py"),
        (name, "gone??.py"),
        ("odd_files", None),
        ("\u5909\u6570.<locals>.<dictcomp>", None),
        ("\u5909\u6570", None),
        ("gr\u00f6\u00dfe", None),
        ("Outer.Inner.last.<locals>.<genexpr>", None),
        ("Outer.Inner.last", None),
        (method + ".<locals>.local.<locals>.<lambda>.<locals>.<listcomp>", None),
        (method + ".<locals>.local.<locals>.<lambda>", None),
        (method + ".<locals>.local", None),
        (method, None),
        ("Thread.run", None),
    ]
    assert [f[0] for f in frames[: len(want)]] == [n for n, _ in want]
    for frame, (_, file) in zip(frames, want):
        assert file is None or frame[1] == file
    assert part > 0.8


DEEP = """
sys.setrecursionlimit(20000)

def near_root():
    recurse(int(sys.argv[1]))

def recurse(n):
    if n:
        recurse(n - 1)
    else:
        near_leaf()

def near_leaf():
    spin()

samples = sample_while(near_root, seconds=1, hz=200)
frames, part = whole(samples)
print(json.dumps({
    "names": names(frames),
    "part": part,
    "share": seconds(samples, "near_leaf", "near_root")
        / seconds(samples, "sample_while"),
}))
"""


def test_a_deep_stack_keeps_both_ends_and_its_weight(show):
    seen = show(DEEP, 3000)
    names = seen["names"]
    assert names[:2] == ["spin", "near_leaf"]
    assert names[2:448] == ["recurse"] * 446
    assert names[448] == "[...]"
    root = ["near_root", "Thread.run", "Thread._bootstrap_inner", "Thread._bootstrap"]
    assert names[449:] == ["recurse"] * 60 + root
    assert seen["part"] > 0.8
    # Of the main thread's time, which is the whole window too.
    assert abs(seen["share"] - 1) < 0.05


def test_a_stack_too_deep_to_walk_says_so(show):
    seen = show(DEEP, 6000)
    names = seen["names"]
    assert names[:2] == ["spin", "near_leaf"]
    assert names[-1] == "[too deep]"
    assert "near_root" not in names
    assert seen["part"] > 0.8
    # Of the main thread's time, which is the whole window too.
    assert abs(seen["share"] - 1) < 0.05


TOWERS = """
def inner():
    yield spin()

def middle():
    yield from inner()

def outer():
    for x in middle():
        yield x

def generators():
    list(outer())

async def c_leaf():
    await asyncio.sleep(0)
    spin()

async def c_middle():
    await c_leaf()

async def c_root():
    await asyncio.gather(c_middle())

def coroutines():
    asyncio.run(c_root())

async def a_inner():
    yield spin()

async def a_outer():
    async for x in a_inner():
        yield x

async def a_root():
    async with asyncio.timeout(60):
        async for _ in a_outer():
            pass

def async_generators():
    asyncio.run(a_root())

frames, part = whole(sample_while(globals()[sys.argv[1]]))
print(json.dumps([names(frames), part]))
"""
LOOP = [
    "Handle._run",
    "BaseEventLoop._run_once",
    "BaseEventLoop.run_forever",
    "BaseEventLoop.run_until_complete",
    "Runner.run",
    "run",
]


@pytest.mark.parametrize(
    "root, chain",
    [
        ("generators", ["spin", "inner", "middle", "outer"]),
        ("coroutines", ["spin", "c_leaf", "c_middle", *LOOP]),
        ("async_generators", ["spin", "a_inner", "a_outer", "a_root", *LOOP]),
    ],
)
def test_suspended_callers_are_seen_to_the_root(show, root, chain):
    names, part = show(TOWERS, root)
    thread = ["Thread.run", "Thread._bootstrap_inner", "Thread._bootstrap"]
    assert names == [*chain, root, *thread]
    assert part > 0.8


GENERATOR_SWITCHES = """
def leaf(n):
    for i in range(n):
        yield i

def tower(n, depth):
    if depth:
        yield from tower(n, depth - 1)
    else:
        yield from leaf(n)

def work():
    while not stop:
        for _ in tower(50, 3):
            pass

bad = []
total = settled = 0
for frames, count, _, _ in sample_while(work, seconds=1, hz=1000):
    shown = names(frames)
    if "work" not in shown and "[unsettled]" not in shown:
        continue
    total += count
    if "work" not in shown or "[unsettled]" in shown:
        continue
    settled += count
    above = shown[:shown.index("work")]
    towers = above.count("tower")
    # A leaf has four towers below it and nothing else; a tower may just start.
    if above != ["leaf"] * ("leaf" in above) + ["tower"] * towers or towers > 4 or (
            "leaf" in above and towers != 4):
        if "[code gone]" not in above:
            bad.append((above, count))
print(json.dumps({"bad": bad, "total": total, "settled": settled}))
"""


def test_generators_that_switch_all_the_time_show_no_impossible_stack(show):
    seen = show(GENERATOR_SWITCHES)
    assert sum(count for _, count in seen["bad"]) <= 0.002 * seen["total"], seen
    assert seen["settled"] > 0.5 * seen["total"], seen


THREAD_CHURN = """
made = 0

def short(n):
    for i in range(n):
        pass

def make_threads():
    global made
    while not stop:
        threads = [threading.Thread(target=short, args=(5000,)) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        made += len(threads)

maker = threading.Thread(target=make_threads)
maker.start()
kind = sys.argv[1]
before = time.process_time()
samples = sample(kind, 2, 500)
used = time.process_time() - before
stop = True
maker.join()
print(json.dumps({
    "made": made,
    "roots": sorted({s[0][-1][0] for s in samples}),
    "seconds": sum(s[2] for s in samples) / 1e9,
    "used": used,
    "stacks": len(samples),
}))
"""


@pytest.mark.parametrize("kind", ["CPU", "WALL"])
def test_threads_that_come_and_go(show, kind):
    seen = show(THREAD_CHURN, kind)
    assert seen["made"] >= 2000, seen
    real = [r for r in seen["roots"] if not r.startswith("[")]
    assert set(real) <= {"Thread._bootstrap", "<module>"}, seen
    assert "Thread._bootstrap" in real
    if kind == "CPU":
        assert abs(seen["seconds"] - seen["used"]) <= 0.1 * seen["used"], seen


def test_wall_time_covers_every_kind_of_thread(show):
    seen = show(
        """
event = threading.Event()
done = threading.Barrier(4)

def daemon():
    event.wait()
    done.wait()

def raw():
    event.wait()
    done.wait()

def plain():
    event.wait()
    done.wait()

threading.Thread(target=daemon, daemon=True).start()
threading.Thread(target=plain).start()
_thread.start_new_thread(raw, ())
time.sleep(0.05)
samples = sample(seconds=1, hz=100)
event.set()
done.wait()
roots = ["<module>", "daemon", "plain", "raw"]
print(json.dumps({r: seconds(samples, r) for r in roots}))
"""
    )
    for name, seconds in seen.items():
        assert abs(seconds / seen["<module>"] - 1) < 0.05, (name, seen)


def test_cpu_time_goes_to_those_who_used_it(show):
    seen = show(
        """
def idle():
    while not stop:
        time.sleep(0.005)

threading.Thread(target=idle).start()
before = time.process_time()
samples = sample_while(spin, kind="CPU", seconds=1, hz=200)
used = time.process_time() - before
print(json.dumps({
    "spin": seconds(samples, "spin"),
    "idle": seconds(samples, "idle"),
    "used": used,
}))
"""
    )
    assert seen["spin"] > 0.85 * seen["used"], seen
    assert seen["idle"] < 0.1 * seen["used"], seen


def test_a_sub_interpreter_is_seen(show):
    pytest.importorskip("_xxsubinterpreters")
    seen = show(
        """
import _xxsubinterpreters as interpreters

WORK = '''
import time
def inside():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
inside()
'''

def run():
    interpreter = interpreters.create()
    interpreters.run_string(interpreter, WORK)
    interpreters.destroy(interpreter)

thread = threading.Thread(target=run)
thread.start()
samples = sample(seconds=1.5, hz=200)
thread.join()
for _ in range(50):
    sample_while(lambda: interpreters.destroy(interpreters.create()), seconds=0.02)
print(json.dumps(seconds(samples, "inside")))
"""
    )
    assert 0.5 < seen < 1.2


def test_a_window_is_refused_where_it_makes_no_sense():
    for duration_ns, period_ns in (
        (10**9, 0),
        (10**9, -1),
        (10**9, 10**6 - 1),
        (10**9, 10**9 + 1),
        (10**6 - 1, 10**6),
        (-1, 10**7),
        (301 * 10**9, 10**7),
    ):
        with pytest.raises(ValueError, match="out of range"):
            _native.collect("WALL", duration_ns, period_ns)
