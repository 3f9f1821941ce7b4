"""An uploaded profile, read by protobuf's own classes."""

import gzip
import os
import shutil
import subprocess

import pytest
from fake_service import pprof


class Read:
    """A pprof profile with its references followed. `stacks` are pairs (frames,
    values, labels); frames, leaf first, are (function, file, line, start line)."""

    def __init__(self, data):
        self.raw = pprof.Profile.FromString(gzip.decompress(data))
        self.text = list(self.raw.string_table)
        functions = {f.id: f for f in self.raw.function}
        frames = {
            location.id: [
                self._frame(functions[line.function_id], line.line)
                for line in location.line
            ]
            for location in self.raw.location
        }
        self.stacks = [
            (
                [f for i in s.location_id for f in frames[i]],
                list(s.value),
                self._labels(s),
            )
            for s in self.raw.sample
        ]

    def _frame(self, function, line):
        return (
            self.text[function.name],
            self.text[function.filename],
            line,
            function.start_line,
        )

    def _labels(self, sample):
        return {
            self.text[label.key]: self.text[label.str] if label.str else label.num
            for label in sample.label
        }

    def types(self):
        return [(self.text[t.type], self.text[t.unit]) for t in self.raw.sample_type]

    def comments(self):
        return [self.text[c] for c in self.raw.comment]

    def total(self):
        return sum(values[1] for _, values, _ in self.stacks)

    def share_with(self, wanted):
        """The part of all time in stacks with a frame that `wanted` is true for."""
        return sum(
            values[1] for frames, values, _ in self.stacks if any(map(wanted, frames))
        ) / max(self.total(), 1)


# What Go writes of CPU time.
CPU = (("samples", "count"), ("cpu", "nanoseconds"))


def made(*values, default=0, period="", samples=((7,),)):
    """The bytes of a profile of these (type, unit), with `main` under every sample."""
    texts = ["", "main", "main.c"]

    def text(word):
        if word not in texts:
            texts.append(word)
        return texts.index(word)

    profile = pprof.Profile(time_nanos=10**18, duration_nanos=3 * 10**9)
    for kind, unit in values:
        profile.sample_type.add(type=text(kind), unit=text(unit))
    profile.default_sample_type = text(default) if default else 0
    profile.period_type.type = text(period)
    profile.function.add(id=1, name=1, filename=2)
    profile.location.add(id=1).line.add(function_id=1, line=3)
    for numbers in samples:
        profile.sample.add(location_id=[1], value=numbers)
    profile.string_table.extend(texts)
    return profile.SerializeToString()


def line_of(text, mark):
    """The number of the one line of a program that holds `mark`."""
    (number,) = [i for i, line in enumerate(text.splitlines(), 1) if mark in line]
    return number


def find_go():
    """The path of Go; the test is skipped where there is none."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        pytest.skip("Go is not on this machine")
    return go


def googles_pprof(folder, *arguments):
    """What `go tool pprof` says; the test is skipped where there is no Go."""
    go = find_go()
    done = subprocess.run(
        [go, "tool", "pprof", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=150,
        env=dict(os.environ, PPROF_TMPDIR=str(folder), GOFLAGS="-mod=mod"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
