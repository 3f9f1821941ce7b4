"""The C function that a leaf frame calls is a frame of its own, on every Python from
3.11: what it is, where, and never one that does not run."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAKE_OPCODES = os.path.join(ROOT, "scripts", "make-opcodes")

# Each function of `calls` spends its time in the C function beside it.
CALLS = """
import functools
import hashlib
import re
import zlib

big = [(i * 7919) % 10007 for i in range(20000)]
blob = bytes(range(256)) * 4096
calls = {}
ended = []

class Context:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass

def calling(name):
    def add(function):
        calls[function] = "<built-in %s>" % name
        return function
    return add

def pair(*values):
    return values

@calling("sorted")
def a_function():
    while not stop:
        sorted(big)

@calling("sorted")
def with_keywords():
    while not stop:
        sorted(big, reverse=True)

@calling("sorted")
def with_stars():
    arguments, keywords = (big,), {"reverse": True}
    while not stop:
        sorted(*arguments)
        sorted(*arguments, **keywords)

@calling("sorted")
def by_another_name():
    max = sorted
    while not stop:
        max(big)

@calling("sum")
def by_a_name_that_lies():
    sorted = sum
    while not stop:
        sorted(big)

@calling("list.sort")
def a_method():
    while not stop:
        list_ = big[:]
        list_.sort()

@calling("list.sort")
def a_method_with_its_object():
    while not stop:
        list_ = big[:]
        sort = list_.sort
        sort()

@calling("list.index")
def a_method_with_its_object_kept():
    index = big.index
    while not stop:
        index(9999)

@calling("bytes.fromhex")
def a_class_method():
    digits = blob.hex()
    while not stop:
        bytes.fromhex(digits)

@calling("set")
def a_class():
    while not stop:
        set(big)

@calling("zlib.crc32")
def of_a_module():
    while not stop:
        zlib.crc32(blob)

@calling("_hashlib.HASH.update")
def of_a_modules_class():
    sha = hashlib.sha256()
    while not stop:
        sha.update(blob)

@calling("re.Pattern.search")
def of_a_regular_expression():
    pattern = re.compile("(a|aa)+$")
    text = "a" * 22 + "b"
    while not stop:
        pattern.search(text)

@calling("sorted")
def deep_in_an_expression():
    while not stop:
        for x in [big]:
            with Context() as c:
                try:
                    pair(1, [x, {"a": pair(c, sorted(x if x else c), 2)}])
                finally:
                    x = c

@calling("sorted")
def in_a_finally():
    while not stop:
        try:
            pass
        finally:
            sorted(big)

@calling("sorted")
def in_a_comprehension():
    while not stop:
        [sorted(x) for x in (big, big)]

def gen():
    while not stop:
        yield sorted(big)

@calling("sorted")
def in_a_generator():
    for x in gen():
        pass

async def coroutine():
    while not stop:
        sorted(big)

@calling("sorted")
def in_a_coroutine():
    try:
        coroutine().send(None)
    except StopIteration:
        pass

seen = {}
for function in calls:
    leaves = {}
    for frames, count, value, _ in sample_while(
            function, kind="CPU", seconds=0.5, hz=400):
        if function.__name__ in names(frames):
            leaves[frames[0][0]] = leaves.get(frames[0][0], 0) + value
            ended += [f for f in names(frames)[1:] if f.startswith("<built-in")]
    total = sum(leaves.values())
    seen[function.__name__] = {
        "told": calls[function],
        "part": leaves.get(calls[function], 0) / total,
        "leaves": {k: v / total for k, v in leaves.items()},
    }
say({"seen": seen, "ended": ended})
"""


def need_callees(python):
    if python.version < (3, 11):
        pytest.skip("C functions are told from 3.11")


def test_a_c_function_is_the_leaf_of_the_time_it_takes(show, python):
    need_callees(python)
    told = show(CALLS)
    for name, seen in told["seen"].items():
        assert seen["part"] > 0.8, (name, seen)
        strange = [
            leaf
            for leaf in seen["leaves"]
            if leaf.startswith("<built-in")
            and leaf != seen["told"]
            and seen["leaves"][leaf] > 0.05
        ]
        assert not strange, (name, seen)
    assert told["ended"] == []


WAITS = """
lock = threading.Lock()
lock.acquire()

def wait_for_lock():
    lock.acquire(True, 10)

def wait_in_sleep():
    while not stop:
        time.sleep(0.2)

threads = [threading.Thread(target=f) for f in (wait_for_lock, wait_in_sleep)]
[t.start() for t in threads]
time.sleep(0.2)
samples = sample("WALL", 1, 100)
stop = True
lock.release()
[t.join() for t in threads]
seen = {}
for frames, _, value, _ in samples:
    for f in ("wait_for_lock", "wait_in_sleep"):
        if f in names(frames):
            leaves = seen.setdefault(f, {})
            leaves[frames[0][0]] = leaves.get(frames[0][0], 0) + value
say({f: {k: v / sum(s.values()) for k, v in s.items()} for f, s in seen.items()})
"""


def test_a_wait_in_c_is_the_leaf_of_wall_time(show, python):
    need_callees(python)
    seen = show(WAITS)
    (lock,) = [k for k in seen["wait_for_lock"] if seen["wait_for_lock"][k] > 0.9]
    assert lock in ("<built-in _thread.lock.acquire>", "<built-in lock.acquire>"), seen
    assert seen["wait_in_sleep"]["<built-in time.sleep>"] > 0.9, seen


# It waits for the GIL where a call has ended, and shows no more what it called.
GIL = """
def caller():
    while not stop:
        len("abc")
        ord("a")
        str(1)
        "abc".upper()

def spinner():
    while not stop:
        pass

threads = [threading.Thread(target=f) for f in (caller, spinner, spinner)]
[t.start() for t in threads]
time.sleep(0.1)
samples = sample("WALL", 2, 200)
stop = True
[t.join() for t in threads]
waits = {}
for frames, _, value, labels in samples:
    if "caller" in names(frames) and labels.get("state") != "running":
        waits[frames[0][0]] = waits.get(frames[0][0], 0) + value
say({k: v / sum(waits.values()) for k, v in waits.items()})
"""


def test_a_wait_for_the_gil_is_not_that_of_a_c_function(show, python):
    if python.kind == "free_threaded":
        pytest.skip("there is none")
    waits = show(GIL)
    assert waits["caller"] > 0.9, waits


# What is no C function that a call leads to.
PYTHON = """
import functools

ones = [1] * 20
huge = 3 ** 40000

def burn():
    x = 0
    for i in range(20000):
        x += i & 3
    return x

def only_arithmetic():
    x = 0
    while not stop:
        x = (x * 3 + 1) & 1023

def large_numbers():
    while not stop:
        huge * huge

class Callable:
    def __call__(self):
        return burn()

def a_callable_object():
    c = Callable()
    while not stop:
        c()

class Made:
    def __init__(self):
        burn()

def a_class_of_python():
    while not stop:
        Made()

def a_partial_function():
    partial = functools.partial(burn)
    while not stop:
        partial()

def a_key_function():
    while not stop:
        sorted(ones, key=lambda x: burn())

def a_generator_that_is_summed():
    while not stop:
        sum(burn() for x in ones)

def sorted_by_name():
    sorted = burn
    while not stop:
        sorted()

seen = {}
for function in (only_arithmetic, large_numbers, a_callable_object, a_class_of_python,
                 a_partial_function, sorted_by_name, a_key_function,
                 a_generator_that_is_summed):
    leaves = {}
    for frames, count, value, _ in sample_while(
            function, kind="CPU", seconds=0.5, hz=400):
        if function.__name__ in names(frames):
            leaf = frames[0][0]
            leaves[leaf] = leaves.get(leaf, 0) + value
    seen[function.__name__] = {
        k: v / sum(leaves.values()) for k, v in leaves.items()}
say(seen)
"""


def test_what_runs_python_shows_no_c_function(show):
    """But for sorted() and sum() themselves, and what burn() calls, range()."""
    brief = {"<built-in sorted>", "<built-in sum>", "<built-in range>"}
    for name, leaves in show(PYTHON).items():
        built_in = {k for k in leaves if k.startswith("<built-in")}
        assert built_in <= brief, (name, leaves)
        assert sum(leaves[k] for k in built_in) < 0.1, (name, leaves)


# The same work in Python and in C, in turn, and what each took by the thread's clock.
SHARES = """
big = [(i * 7919) % 10007 for i in range(2000)]
used = {"python": 0, "c": 0}

def in_turn():
    while not stop:
        begin = thread_clock()
        x = 0
        for i in range(100000):
            x += i & 3
        middle = thread_clock()
        for i in range(80):
            sorted(big)
        end = thread_clock()
        used["python"] += middle - begin
        used["c"] += end - middle

samples = sample_while(in_turn, kind="CPU", seconds=4, hz=400)
total = seconds(samples, "in_turn")
say({"told": seconds(samples, "<built-in sorted>") / total,
     "used": used["c"] / sum(used.values())})
"""


def test_python_and_c_in_turn_have_their_shares(show, python):
    need_callees(python)
    seen = show(SHARES)
    assert seen["used"] > 0.2, seen
    assert abs(seen["told"] - seen["used"]) < 0.1, seen


# Of all code of the standard library, before and after it ran.
SITES = """
import dis
import json.decoder
import re
import types

def code_objects(code):
    yield code
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from code_objects(item)

def library():
    folder = os.path.dirname(os.__file__)
    for module in sorted(os.listdir(folder)):
        if module.endswith(".py") and module != "sitecustomize.py":
            with open(os.path.join(folder, module), "rb") as file:
                yield compile(file.read(), module, "exec", 0, True)

def ran():
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()):
            if isinstance(value, types.FunctionType):
                yield value.__code__
            elif isinstance(value, type):
                for method in vars(value).values():
                    if isinstance(method, types.FunctionType):
                        yield method.__code__

def is_call(i):
    return i.opname in ("CALL", "PRECALL", "CALL_KW", "CALL_FUNCTION_EX")

seen = {"codes": 0, "calls": 0, "told": 0, "bad": []}
for i in range(100):
    json.loads("[1, 2.5, {}]")
    re.compile("(a|b)*c%d" % i)
for tree in list(library()) + list(ran()):
    for code in code_objects(tree):
        for text in {code.co_code, code._co_code_adaptive}:
            seen["codes"] += 1
            sites = _native.call_sites(text)
            if not sites:
                seen["bad"].append((code.co_filename, code.co_name))
                continue
            at = {i.offset // 2 for i in dis.get_instructions(code) if is_call(i)}
            told = {i for i, site in enumerate(sites) if site != 255}
            seen["calls"] += len(at)
            seen["told"] += len(told)
            if not told <= at or any(sites[i] + 2 > code.co_stacksize for i in told):
                seen["bad"].append((code.co_filename, code.co_name))
say(seen)
"""


def test_call_sites_of_the_standard_library_are_found(show, python):
    need_callees(python)
    seen = show(SITES)
    assert seen["bad"] == []
    assert seen["codes"] > 10000, seen
    # The rest are in what only exceptions lead to.
    assert seen["told"] > 0.9 * seen["calls"], seen


def test_the_tables_of_opcodes_are_what_dis_says(python):
    need_callees(python)
    if not python.final or python.kind not in ("", "free_threaded"):
        pytest.skip("not a release that is served")
    done = subprocess.run(
        [sys.executable, MAKE_OPCODES, "--check", python.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
