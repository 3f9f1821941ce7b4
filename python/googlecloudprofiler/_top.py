"""The top table of a profile: which functions its time (or memory) went to."""

import collections
import os
import shutil
import time

NO_STACK = ("[no stack]", "", 0)
PROFILER = "[profiler]"  # as the sampler calls it
MIN_FUNCTION_WIDTH = 24

_RUNNER = "/googlecloudprofiler/_run.py"
_LAUNCHERS = (
    _RUNNER,
    "/googlecloudprofiler/_cli.py",
    "/googlecloudprofiler/__main__.py",
    "/runpy.py",
    "<frozen runpy>",
)

Row = collections.namedtuple("Row", "function file line self total")
Row.__doc__ = """One function. `line` is the line of its `def`, 0 for unknown; `self` is
what was spent in it, `total` in it and in what it called, in the profile's unit."""

Top = collections.namedtuple("Top", "kind unit total rows")
Top.__doc__ = """`kind` and `unit` say what was counted ("cpu", "nanoseconds"), `total`
is the sum over all samples; `rows` are in no order."""

_TIME_NS = {
    "nanoseconds": 1,
    "microseconds": 1000,
    "milliseconds": 1000000,
    "seconds": 1000000000,
}


def merged(profiles):
    """Profiles that count the same as one, with the sum of their durations."""
    if len(profiles) == 1:
        return profiles[0]
    locations = []
    samples = []
    for profile in profiles:
        base = len(locations)
        locations += profile["locations"]
        samples += [
            ([base + location for location in stack], values, labels)
            for stack, values, labels in profile["samples"]
        ]
    return dict(
        profiles[0],
        locations=locations,
        samples=samples,
        comments=[],
        time_ns=min(profile["time_ns"] for profile in profiles),
        duration_ns=sum(profile["duration_ns"] for profile in profiles),
    )


def top(profile):
    """Sum a decoded profile by function, by its default kind of value.

    A function that stands in a stack more than once (recursion) counts once
    towards its total.
    """
    values = profile["value_types"]
    kind, unit = values[profile["default"]] if values else ("", "")
    which = profile["default"]
    functions = [
        [(name, file, start_line) for name, file, _, start_line in lines]
        for lines in profile["locations"]
    ]
    own = collections.Counter()
    total = collections.Counter()
    everything = 0
    for stack, numbers, _ in profile["samples"]:
        value = numbers[which] if numbers else 0
        frames = [f for location in stack for f in functions[location]] or [NO_STACK]
        frames = without_launcher(frames)
        own[frames[0]] += value
        for function in set(frames):
            total[function] += value
        everything += value
    rows = [Row(*f, self=own[f], total=value) for f, value in total.items()]
    return Top(kind, unit, everything, rows)


def without_launcher(frames):
    """A stack, leaf first, without the frames by which `run` started the program:
    that is how `python` itself would have shown it. Where there are no others, it is
    the profiler that ran. A frame's second part is its file."""
    end = len(frames)
    while end and frames[end - 1][1].endswith(_LAUNCHERS):
        end -= 1
    if any(f[1].endswith(_RUNNER) for f in frames[end:]):
        return frames[:end] or [(PROFILER, "") + (0,) * (len(frames[0]) - 2)]
    return frames


def ordered(rows, sort, limit):
    """The first `limit` rows by "self" or "total", greatest first; equal ones by
    the other number and then by name, so that the same profile reads the same."""
    if sort == "self":
        key = lambda r: (-r.self, -r.total, r.function, r.file, r.line)  # noqa: E731
    else:
        key = lambda r: (-r.total, -r.self, r.function, r.file, r.line)  # noqa: E731
    return sorted(rows, key=key)[:limit]


def amount(value, unit):
    """A number with its unit for a person: 12.3 ms, 4.56 s, 3.2 MB, 17."""
    if unit in _TIME_NS:
        return _scaled(
            value * _TIME_NS[unit],
            ((1000000000, "s"), (1000000, "ms"), (1000, "us"), (1, "ns")),
        )
    if unit == "bytes":
        return _scaled(value, ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B")))
    return str(value)


def _scaled(value, units):
    if value == 0:
        return "0"
    # What would be rounded up to 1000 is 1.00 of the next unit.
    size, name = next((u for u in units if abs(value) >= 0.9995 * u[0]), units[-1])
    number = value / size
    large = abs(number)
    digits = 0 if size == 1 or large >= 99.95 else 1 if large >= 9.995 else 2
    return "%.*f %s" % (digits, number, name)


def share(value, total):
    """A percentage of `total` with one digit; of nothing it is 0."""
    return "%.1f%%" % (100.0 * value / total if total else 0.0)


def moment(unix_ns):
    """Local time with its offset, or "unknown"."""
    if unix_ns <= 0:
        return "unknown"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(unix_ns // 10**9))
    except (OverflowError, ValueError, OSError):
        return "unknown"


def printable(text):
    """Names come from outside: nothing in them may steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text)


def table(profile, title, sort="self", limit=20, width=100):
    """The lines of a profile's table.

    title: the first line. sort: "self" or "total". limit: how many functions.
    width: the columns there are; names are shortened to fit, numbers never.
    """
    result = top(profile)
    lines = [title, _about(profile, result)]
    lines += ["comment: " + c for c in profile["comments"]]
    lines = [printable(line) for line in lines]
    shown = ordered([r for r in result.rows if r.self or r.total], sort, limit)
    if not shown:
        return [*lines, "nothing was sampled"]
    return [*lines, "", *_rows(shown, result, width)]


def _about(profile, result):
    words = [moment(profile["time_ns"])]
    # What is of one moment has none.
    if profile["duration_ns"] > 0:
        words.append("duration " + amount(profile["duration_ns"], "nanoseconds"))
    total = amount(result.total, result.unit)
    words.append("total %s of %s" % (total, result.kind or "unnamed values"))
    return ", ".join(words)


def _rows(shown, result, width):
    cells = [("self", "self%", "total", "total%")] + [
        (
            amount(r.self, result.unit),
            share(r.self, result.total),
            amount(r.total, result.unit),
            share(r.total, result.total),
        )
        for r in shown
    ]
    names = ["function"] + [printable(r.function) for r in shown]
    places = ["file:line"] + [_place(r) for r in shown]
    columns = [max(len(row[i]) for row in cells) for i in range(4)]
    room = width - sum(columns) - 2 * 5
    function_width, place_width = _divide(
        room, max(map(len, names)), max(map(len, places))
    )
    lines = []
    for row, name, place in zip(cells, names, places):
        numbers = "  ".join(cell.rjust(n) for cell, n in zip(row, columns))
        name = _cut_end(name, function_width).ljust(function_width)
        line = "%s  %s  %s" % (numbers, name, _cut_start(place, place_width))
        lines.append(line.rstrip())
    return lines


def _place(row):
    if not row.file:
        return ""
    return printable("%s:%d" % (row.file, row.line) if row.line else row.file)


def _divide(room, function_width, place_width):
    """Widths of the two text columns: the place, whose end says most, gives way
    first, down to half of the room."""
    room = max(room, 2 * MIN_FUNCTION_WIDTH)
    if function_width + place_width <= room:
        return function_width, place_width
    function_width = min(function_width, max(room // 2, room - place_width))
    return function_width, room - function_width


def _cut_end(text, width):
    return text if len(text) <= width else text[: width - 3] + "..."


def _cut_start(text, width):
    return text if len(text) <= width else "..." + text[len(text) - width + 3 :]


def listing(rows, width=100):
    """The lines of a list of stored profiles, newest first as given."""
    form = "%-32s  %-25s  %-10s  %8s  %8s  %s"
    lines = [form % ("id", "received", "type", "size", "process", "service")]
    for row in rows:
        lines.append(
            form
            % (
                row.id,
                moment(row.received_unix_ns),
                row.type,
                amount(row.size, "bytes"),
                printable(row.labels.get("process", "")),
                printable(row.target) or "unknown",
            )
        )
    return [_cut_end(line, max(width, 32)) for line in lines]


def width_of(stream):
    """The columns of the terminal behind `stream`; 120 where there is none."""
    if os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    try:
        return os.get_terminal_size(stream.fileno()).columns or 120
    except (AttributeError, ValueError, OSError):
        return 120


def write(stream, lines):
    """Print lines to a stream, whatever its encoding: what it does not have is
    shown as '?'."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = "".join(line + "\n" for line in lines)
    stream.write(text.encode(encoding, "replace").decode(encoding, "replace"))
    stream.flush()
