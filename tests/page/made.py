"""Profiles made for the page's tests, as gzipped pprof messages."""

import gzip

from fake_service import pprof

CPU = [("sample", "count"), ("cpu", "nanoseconds")]
HEAP = [("inuse_objects", "count"), ("inuse_space", "bytes")]


class Texts:
    def __init__(self):
        self.all = [""]
        self._index = {"": 0}

    def __call__(self, text):
        if text not in self._index:
            self._index[text] = len(self.all)
            self.all.append(text)
        return self._index[text]


def profile(stacks, types=CPU, comments=(), seconds=10, default="cpu"):
    """stacks: (frames, values, labels), frames root first: a name, or a tuple (name,
    file, line, start line)."""
    text = Texts()
    made = pprof.Profile(
        time_nanos=1_700_000_000_000_000_000, duration_nanos=seconds * 10**9
    )
    for type, unit in types:
        made.sample_type.add(type=text(type), unit=text(unit))
    made.default_sample_type = text(default)
    functions, locations = {}, {}
    for frames, values, labels in stacks:
        ids = []
        for frame in frames:
            if isinstance(frame, str):
                frame = (frame, "/app/%s.py" % frame[:20], 2, 1)
            name, file, line, start = frame
            function = (name, file, start)
            if function not in functions:
                functions[function] = len(functions) + 1
                made.function.add(
                    id=functions[function],
                    name=text(name),
                    filename=text(file),
                    start_line=start,
                )
            place = (functions[function], line)
            if place not in locations:
                locations[place] = len(locations) + 1
                location = made.location.add(id=locations[place])
                location.line.add(function_id=place[0], line=line)
            ids.append(locations[place])
        sample = made.sample.add(location_id=reversed(ids), value=values)
        for key, value in labels.items():
            sample.label.add(key=text(key), str=text(value))
    made.comment.extend(text(c) for c in comments)
    made.string_table.extend(text.all)
    return gzip.compress(made.SerializeToString())


MS = 10**6
SAMPLER = (
    "sampler: 3.10 ms of CPU (0.31 % of a core), 998 ticks, 2 missed, 7 walks,"
    " 0 unsettled, 0 frames gone, 0 samples late, 0 samples dropped, 0 codes lost,"
    " 0 threads lost"
)


def small():
    """100 ms in two threads; `parse` is called from two places, and recursive."""
    work = ("work", "/app/work.py", 10, 5)
    elsewhere = ("work", "/app/work.py", 20, 5)
    one, two = {"thread": "one"}, {"thread": "two"}
    return profile(
        [
            (["main", work, "parse"], [3, 30 * MS], one),
            (["main", elsewhere, "parse", "parse"], [2, 20 * MS], one),
            (["main", elsewhere], [1, 10 * MS], two),
            (["main", "idle", "parse"], [1, 15 * MS], two),
            (["other"], [2, 25 * MS], two),
        ],
        comments=[SAMPLER],
    )


def later():
    """What became of small(): `idle` is gone, `parse` takes more."""
    work = ("work", "/app/work.py", 10, 5)
    return profile(
        [
            (["main", work, "parse"], [8, 80 * MS], {"thread": "one"}),
            (["other"], [2, 20 * MS], {"thread": "two"}),
        ],
        seconds=20,
    )


def heap():
    return profile([(["main"], [4, 3_200_000], {})], types=HEAP, default="inuse_space")
