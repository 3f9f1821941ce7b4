"""What the programs of tests begin with; see `show` in tests/conftest.py. They run on
3.6 to 3.15, and print what they saw as JSON in their last line."""

import _thread  # noqa: F401, as all of these: programs go on in this name space
import json
import marshal  # noqa: F401
import os
import sys
import threading
import time

from googlecloudprofiler import _native

# Windows are shorter where many Pythons are tried; counts go down with them.
PACE = float(os.environ.get("CPROF_TEST_PACE", "1"))
LONG = bool(os.environ.get("CPROF_LONG"))
# Instead of what a program asks for.
HZ = float(os.environ.get("CPROF_TEST_HZ", "0"))

stop = False
told = None  # by Python, of the last spin()


def say(seen):
    print(json.dumps(seen), flush=True)


def skip(words):
    say({"skip": words})
    sys.exit(0)


def name(qualname):
    """What a profile shows for a function: before 3.11, code knows no more."""
    return qualname if sys.version_info >= (3, 11) else qualname.rpartition(".")[2]


def sample(kind="WALL", seconds=0.5, hz=500):
    """A profile of what runs meanwhile, as tuples (frames, count, ns, labels).

    A frame is (name, file, line, first line), leaf first.
    """
    return read(_native.collect(kind, int(seconds * PACE * 1e9), int(1e9 / (HZ or hz))))


def read(data):
    profile = _native.decode_profile(data)
    out = []
    for locations, (count, ns), labels in profile["samples"]:
        frames = [tuple(profile["locations"][i][0]) for i in locations]
        out.append((frames, count, ns, {k: v for k, v, _ in labels}))
    return out


def names(frames):
    return [f[0] for f in frames]


def of_python(frames):
    """Their names, without that of a C function."""
    return [f for f in names(frames) if not f.startswith("<built-in ")]


def stack(frame):
    """What Python says of a stack, with text as a profile shows it."""
    out = []
    while frame is not None:
        code = frame.f_code
        out.append((
            getattr(code, "co_qualname", code.co_name),
            code.co_filename.encode("utf-8", "replace").decode("utf-8"),
            frame.f_lineno or 0,
            code.co_firstlineno,
        ))
        frame = frame.f_back
    return out


def spin():
    global told
    told = stack(sys._getframe())
    x = 0
    while not stop:
        x += 1


def sample_while(function, **how):
    """sample() while `function` runs in a thread: it must end once `stop` is set."""
    global stop
    stop = False
    thread = threading.Thread(target=function)
    thread.start()
    time.sleep(0.05)
    try:
        return sample(**how)
    finally:
        stop = True
        thread.join()


def whole(samples, leaf="spin"):
    """The commonest stack with this leaf, on whichever of its lines, and its part of
    all with that leaf."""
    found = {}
    for frames, count, _, _ in samples:
        if frames[0][0] == leaf:
            key = ((leaf, frames[0][1], 0, frames[0][3]), *frames[1:])
            found[key] = found.get(key, 0) + count
    assert found, [names(s[0])[:5] for s in samples]
    best = max(found, key=found.get)
    return list(best), found[best] / sum(found.values())


def spun(samples):
    """What whole() says of spin(), and what Python says, for a test to compare."""
    frames, part = whole(samples)
    truth = [(*told[0][:2], 0, *told[0][3:]), *told[1:]]
    return {
        "names": names(frames),
        "files": [f[1] for f in frames],
        "part": part,
        "frames": frames,
        "told": truth,
    }


def seconds(samples, *roots):
    """The time in stacks with one of these functions in them."""
    return sum(s[2] for s in samples if set(roots) & set(names(s[0]))) / 1e9


def thread_clock():
    """CPU that the calling thread used; time.thread_time() is of 3.7."""
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def native_id():
    return int(os.readlink("/proc/thread-self").rpartition("/")[2])


def run_async(coroutine):
    import asyncio  # slow, and few want it

    if hasattr(asyncio, "run"):
        asyncio.run(coroutine)
        return
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()


