"""What profilers write, read as stacks: lists of (names of functions, leaf first,
seconds)."""

import gzip
import pathlib
import re

import profiles

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"

# Names of what a sample counts; where there is one kind of time only, it is that.
TYPES = {"CPU": ("cpu", "CPU", "cpu-time"), "WALL": ("wall", "WALL", "wall-time")}


def bare(name):
    """A function's name without its class or the function it is in."""
    return name.rpartition(".")[2]


def read_pprof(data, kind):
    """Of a pprof profile, compressed or not; nothing when it has no time."""
    if data.startswith(ZSTD):
        import zstandard  # only make bench brings it

        plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        data = gzip.compress(plain)
    elif not data.startswith(GZIP):
        data = gzip.compress(data)
    read = profiles.Read(data)
    types = [name for name, unit in read.types() if unit == "nanoseconds"]
    wanted = [name for name in types if name in TYPES[kind]] or types
    if not wanted:
        return []
    index = [name for name, _ in read.types()].index(wanted[0])
    return [
        ([bare(frame[0]) for frame in frames], values[index] / 1e9)
        for frames, values, _ in read.stacks
        if values[index]
    ]


def read_collapsed(path, frame, unit_s):
    """Of lines "root;...;leaf COUNT"; `frame` is a pattern with the name in its first
    group, and what does not fit it, like a thread, is none."""
    found = []
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        matches = map(re.compile(frame).match, stack.split(";"))
        names = [match.group(1) for match in matches if match]
        if names:
            found.append(([bare(n) for n in reversed(names)], float(count) * unit_s))
    return found
