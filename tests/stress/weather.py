"""Storms that know their own call graph. Usage: weather.py STORM, on any Python, with
tests/interpreters in the path; child.py tells how long and how often.

What is sampled meanwhile is compared with this file: each frame in it is a function of
it, at a line of that function, and called by one that calls it. Prints what was seen as
JSON: stacks, faults (the first ones), and how many stacks say that they are not whole.
"""

import asyncio
import gc
import importlib
import os
import sys
import tempfile
import threading
import types

import child

HERE = os.path.abspath(__file__)
PARTIAL = ("[unsettled]", "[code gone]")
sys.setrecursionlimit(5000)
threading.stack_size(64 << 20)

# Who calls whom. Others may be called by anybody, as a finalizer is.
CALLERS = {
    "fall": {"fall", "recursion"},
    "short": {"Thread.run", "run"},
    # Python closes the innermost of a dropped tower by itself.
    "leaf": {"tower", "reversed_tower", "generators"},
    "tower": {"tower", "generators"},
    "reversed_tower": {"reversed_tower", "generators"},
    "c_leaf": {"c_middle"},
    "c_middle": {"c_middle", "c_root"},
    "burn": {"c_leaf", "leaf", "short", "kept", "Cycle.__del__", "__del__", "outlive"},
    "kept": {"keep"},
    "keep": {"keep", "frames"},
    "closed": {"half"},
}
if sys.version_info < (3, 9):
    # What is thrown into a coroutine enters its innermost part first, by itself.
    CALLERS["c_leaf"] |= {"_run"}
    CALLERS["c_middle"] |= {"_run"}


def burn(n):
    x = 0
    for i in range(n):
        x += i
    return x


def fall(n):
    if n:
        return fall(n - 1)
    return 0


def recursion():
    n = 1
    while not child.stop:
        n = n * 7 % 1999 + 1
        fall(n)


def short():
    burn(200)


def threads():
    while not child.stop:
        some = [threading.Thread(target=short) for _ in range(8)]
        for thread in some:
            thread.start()
        for thread in some:
            thread.join()


def leaf(n):
    for i in range(n):
        burn(3)
        yield i


def tower(depth):
    if depth:
        yield from tower(depth - 1)
    else:
        yield from leaf(5)


def reversed_tower(depth):
    yield from leaf(2)
    if depth:
        for x in reversed_tower(depth - 1):
            yield x


def generators():
    while not child.stop:
        half = tower(20)
        next(half)  # and dropped, half done
        for _ in tower(3):
            pass
        for _ in reversed_tower(4):
            pass


async def c_leaf(n):
    for _ in range(n):
        await asyncio.sleep(0)
        burn(5)


async def c_middle(n, depth):
    if depth:
        await c_middle(n, depth - 1)
    else:
        await c_leaf(n)


async def c_root(n):
    await c_middle(n, n % 7)


async def c_storm():
    while not child.stop:
        tasks = [asyncio.ensure_future(c_root(i)) for i in range(20)]
        await asyncio.sleep(0)
        tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def coroutines():
    child.run_async(c_storm())


class Cycle:
    def __init__(self):
        self.me = self

    def __del__(self):
        burn(10)


def closed():
    return 1


def half():
    try:
        yield 1
        yield 2
    finally:
        closed()


def outlive(phase, info):
    burn(5)


def garbage():
    gc.callbacks.append(outlive)
    gc.set_threshold(5, 2, 2)
    kept = []
    while not child.stop:
        loose = half()
        next(loose)
        kept.append([Cycle(), loose, kept])
        if len(kept) > 50:
            kept.clear()
            gc.collect()
    gc.callbacks.remove(outlive)


def kept(frames):
    frames.append(sys._getframe())
    burn(5)
    raise KeyError


def keep(frames, n):
    if n:
        return keep(frames, n - 1)
    return kept(frames)


def frames():
    """Frames that outlive their call: they move from the stack into objects."""
    some = []
    while not child.stop:
        try:
            keep(some, 10)
        except KeyError as e:
            some.append(e.__traceback__.tb_frame)
        if len(some) > 100:
            for frame in some[::2]:
                try:
                    frame.clear()
                except RuntimeError:
                    pass
            del some[:]


MODULE = "\n" * 7 + """def work(n):
    for _ in range(n):
        n += 1
    return n
"""
MODULE_CODE = ("work", 8, range(8, 12))


def imports():
    """The same names again and again, from two files by turns."""
    with tempfile.TemporaryDirectory() as folder:
        for letter in "ab":
            with open(os.path.join(folder, "storm_%s.py" % letter), "w") as file:
                file.write(MODULE)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        while not child.stop:
            for letter in "ab":
                module = importlib.import_module("storm_%s" % letter)
                module.work(500)
                importlib.reload(module).work(500)
                del sys.modules["storm_%s" % letter]
        sys.path.remove(folder)


def interpreters():
    for name in "_interpreters", "_xxsubinterpreters":
        try:
            module = importlib.import_module(name)
            break
        except ImportError:
            pass
    else:
        child.skip("no module for sub-interpreters")
    while not child.stop:
        some = [module.create() for _ in range(3)]
        for one in some:
            module.run_string(one, "def inside():\n    sum(range(5000))\ninside()")
        for one in some:
            module.destroy(one)


STORMS = {
    "recursion": [recursion, recursion],
    "threads": [threads, threads],
    "generators": [generators, generators],
    "coroutines": [coroutines, coroutines],
    "garbage": [garbage, recursion],
    "frames": [frames, frames],
    "imports": [imports, recursion],
    "interpreters": [interpreters, recursion],
    "all": [recursion, threads, generators, coroutines, garbage, frames, imports],
}


def code_objects(code):
    yield code
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            for inner in code_objects(item):
                yield inner


def lines_of(code):
    """All lines that a look may find it at."""
    if hasattr(code, "co_lines"):
        lines = {line for _, _, line in code.co_lines()}
    else:
        import dis

        lines = {line for _, line in dis.findlinestarts(code)}
    return lines | {code.co_firstlineno, 0}


def own_code():
    with open(HERE) as file:
        whole = compile(file.read(), HERE, "exec")
    own = {}
    for code in code_objects(whole):
        name = getattr(code, "co_qualname", code.co_name)
        own[name, code.co_firstlineno] = lines_of(code)
    return own


def is_wrong(frame, own):
    """Not a name and a line of the file that it is said to be of."""
    name, file, line, first = frame
    if file == HERE:
        return line not in own.get((name, first), ())
    if os.path.basename(file).startswith("storm_"):
        if name != "work":
            return name != "<module>"
        return first != MODULE_CODE[1] or line not in MODULE_CODE[2]
    return False


def is_impossible(frame, caller):
    """No such call is in this file."""
    callers = CALLERS.get(frame[0]) if frame[1] == HERE else None
    return callers is not None and caller[0] not in callers and caller[0][:1] != "["


def main():
    works = STORMS[sys.argv[1]]
    own = own_code()
    storm = [threading.Thread(target=work) for work in works]
    for thread in storm:
        thread.start()
    stacks = partial = impossible = 0
    bad = []
    for kind in "CPU", "WALL":
        for frames, count, _, _ in child.sample(kind, 0.5):
            stacks += count
            partial += count * (not set(PARTIAL).isdisjoint(child.names(frames)))
            bad += [frame for frame in frames if is_wrong(frame, own)]
            for frame, caller in zip(frames, frames[1:]):
                if is_impossible(frame, caller):
                    impossible += count
                    break
    child.stop = True
    for thread in storm:
        thread.join()
    child.say({
        "stacks": stacks, "partial": partial, "impossible": impossible, "bad": bad[:20]
    })


if __name__ == "__main__":
    main()
