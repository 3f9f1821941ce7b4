"""Which Pythons are here. `python find.py` lists them."""

import collections
import functools
import glob
import json
import os
import subprocess
import sys

# Asked of each; 3.6 has to understand it.
QUESTION = """
import json, os, sys
with open("/proc/self/maps") as f:
    maps = f.read()
print(json.dumps({
    "hex": sys.hexversion,
    "implementation": sys.implementation.name,
    "abiflags": sys.abiflags,
    "debug": hasattr(sys, "gettotalrefcount"),
    "musl": "/libc.so.6" not in maps and "/libc-2." not in maps,
    "machine": os.uname().machine,
}))
"""
PATIENCE_S = 20


class Python(
    collections.namedtuple("Python", "path label version final debug kind")
):
    """`version` is (major, minor, micro); `final` is false before a release.

    `kind` is what needs a package of its own: "" for none, which one .abi3.so
    serves, "free_threaded", "musl", or another machine's name.
    """

    __slots__ = ()

    def name(self, qualname):
        """What a profile shows for a function: before 3.11, code knows no more."""
        return qualname if self.version >= (3, 11) else qualname.rpartition(".")[2]

    @property
    def served(self):
        """Whether the profiler must not refuse it."""
        return (
            self.kind == ""
            and self.final
            and (3, 8 if self.debug else 6) <= self.version[:2] <= (3, 15)
        )


def cache():
    """Where the scripts beside this file put what they make."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("CPROF_CACHE") or os.path.join(
        home, "google-cloud-profiler"
    )
    return os.path.join(folder, "interpreters")


def candidates():
    """Paths that may be interpreters; of those with one label, the first counts."""
    yield sys.executable
    yield from filter(None, os.environ.get("CPROF_PYTHONS", "").split(":"))
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for pattern in (
        "/usr/bin/python3.*",
        os.path.join(pyenv, "versions", "*", "bin", "python3"),
        os.path.join(cache(), "bin", "python3.*"),
        os.path.join(cache(), "python-*", "bin", "python3"),
        os.path.join(cache(), "musl-*", "usr", "local", "bin", "python3"),
    ):
        for path in sorted(glob.glob(pattern)):
            if not path.endswith("-config") and os.access(path, os.X_OK):
                yield path


def ask(paths):
    """Pairs (path, answer) of those that answer, all asked at once."""
    asked = []
    for path in paths:
        try:
            process = subprocess.Popen(
                [path, "-I", "-S", "-c", QUESTION],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            continue
        asked.append((path, process))
    for path, process in asked:
        try:
            yield path, json.loads(process.communicate(timeout=PATIENCE_S)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        except ValueError:
            continue


def described(path, answer):
    number = answer["hex"]
    version = number >> 24, number >> 16 & 0xFF, number >> 8 & 0xFF
    level = number >> 4 & 0xF
    free_threaded = "t" in answer["abiflags"]
    foreign = answer["machine"] if answer["machine"] != os.uname().machine else ""
    label = "%d.%d.%d" % version
    if level != 0xF:
        label += "%s%d" % ({0xA: "a", 0xB: "b", 0xC: "rc"}.get(level, "x"), number & 15)
    label += "t" * free_threaded + "d" * answer["debug"]
    label += "-musl" * answer["musl"] + "-%s" % foreign * bool(foreign)
    return Python(
        path=path,
        label=label,
        version=version,
        final=level == 0xF,
        debug=answer["debug"],
        kind=foreign
        or ("musl" if answer["musl"] else "free_threaded" * free_threaded),
    )


@functools.lru_cache(None)
def pythons():
    """All CPythons that are here and run, sys.executable first, one per label."""
    paths = list(dict.fromkeys(os.path.abspath(p) for p in candidates()))
    found = {}
    for path, answer in ask(paths):
        if answer["implementation"] == "cpython" and answer["hex"] >= 0x03060000:
            python = described(path, answer)
            found.setdefault(python.label, python)
    return list(found.values())


if __name__ == "__main__":
    for python in pythons():
        print("%-16s %s" % (python.label, python.path))
