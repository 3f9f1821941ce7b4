"""What stacks show of quick calls: how many have a call that never happens, or one that
is not known, and how much time is at a function that did not take it.

Truth is every (caller, callee) pair that sys.setprofile sees in a run of the same
workload, C functions among them. Then the workload runs on, sampled, and each pair
of frames of each stack is looked up. On one core the program stands while it is
looked at: what functions take by themselves there is what they are compared with on
two. Prints Markdown. Usage: edges.py [SECONDS [HZ]]
"""

import ast
import collections
import copy
import difflib
import fractions
import inspect
import json
import json.decoder
import json.encoder
import os
import pprint
import sys
import threading
import tokenize
from html.parser import HTMLParser

try:  # from 3.11
    from re import _compiler, _parser
except ImportError:
    import sre_compile as _compiler
    import sre_parse as _parser

import pages
from googlecloudprofiler import _native

DATA = {"list": [{"a": i, "b": [1.5, None, "x" * 5]} for i in range(30)], "t": (1, 2)}
UNPARSED = inspect.getsource(fractions)
ENCODED = json.dumps(DATA)


def encode_json():
    encoder = json.encoder._make_iterencode(
        {}, json.JSONEncoder().default, json.encoder.py_encode_basestring_ascii, None,
        repr, ":", ",", False, False, False)
    return "".join(encoder(DATA, 0))


def decode_json():
    decoder = json.JSONDecoder()
    decoder.scan_once = json.scanner.py_make_scanner(decoder)
    decoder.parse_string = json.decoder.py_scanstring
    return decoder.decode(ENCODED)


def compile_regex():
    return _compiler.compile(_parser.parse(r"(a|b)*c{2,3}[^x-z]+(?P<n>\d+)(?=q)?"))


def run_tokenize():
    lines = iter(UNPARSED.splitlines(True))
    return sum(1 for _ in tokenize.generate_tokens(lambda: next(lines, "")))


def unparse():
    return ast.unparse(ast.parse(UNPARSED))


WORKLOADS = {
    "json encoder": encode_json,
    "json decoder": decode_json,
    "re compiler": compile_regex,
    "deepcopy": lambda: copy.deepcopy(DATA),
    "tokenize": run_tokenize,
    "difflib": lambda: list(difflib.ndiff("abcdef" * 20, "abdefc" * 20)),
    "pprint": lambda: pprint.pformat(DATA),
    "fractions": lambda: sum(fractions.Fraction(1, i) for i in range(1, 60)),
    "html.parser": lambda: HTMLParser().feed("<p a='b'>x<br/>&amp;</p>" * 20),
}
if hasattr(ast, "unparse"):
    WORKLOADS["ast.unparse"] = unparse


def key(code):
    name = getattr(code, "co_qualname", code.co_name)  # from 3.11
    return (name, code.co_filename, code.co_firstlineno)


def type_name(of):
    return of.__name__ if of.__module__ == "builtins" else (
        "%s.%s" % (of.__module__, of.__name__))


def c_key(function):
    """What a profile shows for a C function."""
    owner = function.__module__
    if owner == "builtins":
        name = function.__name__
    else:
        itself = function.__self__
        owner = owner or type_name(itself if type(itself) is type else type(itself))
        name = "%s.%s" % (owner, function.__name__)
    return ("<built-in %s>" % name, "", 0)


def is_type(name):
    """Whether this is a call of a type that C made: nobody is told of it."""
    owner, _, last = name[len("<built-in "):-1].rpartition(".")
    return isinstance(getattr(sys.modules.get(owner or "builtins"), last, None), type)


def true_edges(work):
    """All (caller, callee) pairs of a few runs of `work`."""
    edges = set()

    def watch(frame, event, arg):
        if event == "call" and frame.f_back:
            edges.add((key(frame.f_back.f_code), key(frame.f_code)))
        if event == "c_call":
            edges.add((key(frame.f_code), c_key(arg)))

    sys.setprofile(watch)
    for _ in range(5):
        work()
    sys.setprofile(None)
    return edges


def sample(work, seconds, hz):
    """The decoded WALL profile of a thread that does nothing but `work`."""
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        data = _native.collect("WALL", int(seconds * 1e9), int(1e9 / hz))
    finally:
        stop.set()
        thread.join()
    return _native.decode_profile(data)


def sample_on_one_core(work, seconds, hz):
    """The same where the sampler shares a core with the thread."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    try:
        return sample(work, seconds, hz)
    finally:
        os.sched_setaffinity(0, cpus)


def of_loop(profile):
    """(frames, looks) of each stack of the loop's thread."""
    for locations, values, _labels in profile["samples"]:
        frames = [profile["locations"][i][0] for i in locations]
        names = [f[0] for f in frames]
        if "[unsettled]" in names or any(n.split(".")[-1] == "loop" for n in names):
            yield frames, values[0]


def judge(profile, edges):
    """(stacks, impossible, unsettled, with a frame gone) of the loop's thread."""
    total = bad = unsettled = gone = 0
    for frames, looks in of_loop(profile):
        names = [f[0] for f in frames]
        total += looks
        unsettled += looks * ("[unsettled]" in names)
        gone += looks * ("[code gone]" in names)
        keys = [(f[0], f[1], f[3]) for f in frames]
        for callee, caller in zip(keys, keys[1:]):
            if "[" in (callee[0][:1], caller[0][:1]) or caller[0].endswith("loop"):
                continue
            if is_type(callee[0]):
                continue
            if callee[0].endswith("loop") or "threading" in callee[1]:
                break
            if (caller, callee) not in edges:
                bad += looks
                print("    impossible:", looks, [(f[0], f[2]) for f in frames[:9]],
                      file=sys.stderr)
                break
    return total, bad, unsettled, gone


def measure(work, seconds, hz):
    """What judge() says of `seconds` of `work`."""
    edges = true_edges(work)
    return judge(sample(work, seconds, hz), edges)


def own_times(profile):
    """Looks by the Python function at the leaf."""
    own = collections.Counter()
    for frames, looks in of_loop(profile):
        name, file, _, start = next(
            f for f in frames if not f[0].startswith("<built-in"))
        own[name, file, start] += looks
    return own


def difference(one, two):
    """(How much of `two` is at other functions than in `one`; what chance alone is to
    be expected to put there): parts of all."""
    totals = sum(one.values()), sum(two.values())
    if 0 in totals:
        return 0, 0
    found = expected = 0
    for name in set(one) | set(two):
        found += abs(one[name] / totals[0] - two[name] / totals[1]) / 2
        part = (one[name] + two[name]) / sum(totals)
        spread = part * (1 - part) * (1 / totals[0] + 1 / totals[1])
        expected += (spread / (2 * 3.1416)) ** 0.5
    return found, expected


def compare(work, seconds, hz):
    """Looks, as HEAD has them, and the looks on one core, on which there are
    `unsettled` of the last but one."""
    edges = true_edges(work)
    two = sample(work, seconds, hz)
    total, bad, unsettled, gone = judge(two, edges)
    if len(os.sched_getaffinity(0)) == 1:
        return total, bad, unsettled, gone, 0, 0, unsettled, total
    one = sample_on_one_core(work, seconds, hz)
    total_of_one, _, unsettled_of_one, _ = judge(one, edges)
    found, expected = difference(own_times(one), own_times(two))
    return (total, bad, unsettled, gone, found * total, expected * total,
            unsettled_of_one, total_of_one)


HEAD = ["", "stacks", "impossible, %", "`[unsettled]`, %", "`[code gone]`, %",
        "time elsewhere, %", "of it by chance", "`[unsettled]` on one core, %"]


def row(label, counts):
    total, bad, *rest, unsettled_of_one, total_of_one = counts
    return [label, "%d" % total, "%.3f" % (100 * bad / (total or 1)),
            *("%.1f" % (100 * c / (total or 1)) for c in rest),
            "%.1f" % (100 * unsettled_of_one / (total_of_one or 1))]


def rows(seconds, hz):
    counts = {name: compare(work, seconds, hz) for name, work in WORKLOADS.items()}
    yield from (row(name, c) for name, c in counts.items())
    yield row("all", [sum(c) for c in zip(*counts.values())])


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    hz = float(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print("\n".join(pages.table(HEAD, rows(seconds, hz))))


if __name__ == "__main__":
    main()
