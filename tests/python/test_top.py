"""The table says what the profile says."""

import io

import pytest
from googlecloudprofiler import _top

A = ("a", "/app/a.py", 11, 10)
B = ("b", "/app/b.py", 21, 20)
B2 = ("b", "/app/b.py", 25, 20)  # another line of the same function
C = ("c", "/app/c.py", 31, 30)


def profile(samples, locations=((A,), (B,), (C,), (B2,)), default=1):
    return {
        "value_types": [("sample", "count"), ("cpu", "nanoseconds")],
        "default": default,
        "samples": [(stack, [1, value], []) for stack, value in samples],
        "locations": [list(lines) for lines in locations],
        "comments": ["own cost 0.1 %"],
        "time_ns": 1600000000 * 10**9,
        "duration_ns": 10**10,
        "period": 10**7,
        "period_type": ("cpu", "nanoseconds"),
    }


def numbers(samples, **options):
    result = _top.top(profile(samples, **options))
    return {row.function: (row.self, row.total) for row in result.rows}, result.total


@pytest.mark.parametrize(
    "samples, want, total",
    [
        ([], {}, 0),
        ([([0], 5)], {"a": (5, 5)}, 5),
        ([([0, 1], 5), ([1], 2)], {"a": (5, 5), "b": (2, 7)}, 7),
        # recursion, also through another line, counts once
        ([([1, 3, 1, 0], 4)], {"b": (4, 4), "a": (0, 4)}, 4),
        ([([], 3)], {"[no stack]": (3, 3)}, 3),
    ],
)
def test_self_and_total(samples, want, total):
    assert numbers(samples) == (want, total)


def test_inlined_lines_are_frames_of_their_own():
    assert numbers([([0], 5)], locations=[(A, B)]) == ({"a": (5, 5), "b": (0, 5)}, 5)


def test_the_default_kind_of_value_is_shown():
    assert _top.top(profile([([0], 5), ([1], 7)], default=0)).total == 2


def launcher(place):
    return ("main", "/lib" + place, 1, 1)


RUN = (
    (A,),
    (launcher("/googlecloudprofiler/_run.py"),),
    (launcher("/googlecloudprofiler/_cli.py"),),
    (("_run_code", "<frozen runpy>", 1, 1),),
)


@pytest.mark.parametrize(
    "stack, want",
    [
        ([0, 1, 2, 3], ["a"]),
        ([0, 3], ["_run_code", "a"]),  # plain `python -m`
        ([1, 2], ["[profiler]"]),  # met before the program began
        ([3], ["_run_code"]),
        ([1, 0, 2], ["a", "main", "main"]),  # only at the root
    ],
)
def test_frames_of_run_itself_are_not_shown(stack, want):
    rows = _top.top(profile([(stack, 5)], locations=RUN)).rows
    assert sorted(row.function for row in rows) == want


@pytest.mark.parametrize(
    "value, unit, want",
    [
        (0, "nanoseconds", "0"),
        (7, "nanoseconds", "7 ns"),
        (1500, "nanoseconds", "1.50 us"),
        (12345678, "nanoseconds", "12.3 ms"),
        (123456789, "nanoseconds", "123 ms"),
        (9870000000, "nanoseconds", "9.87 s"),
        (999999999, "nanoseconds", "1.00 s"),
        (9999999999, "nanoseconds", "10.0 s"),
        (999400000, "nanoseconds", "999 ms"),
        (99990000, "nanoseconds", "100 ms"),
        (250, "milliseconds", "250 ms"),
        (-12345678, "nanoseconds", "-12.3 ms"),
        (2048, "bytes", "2.05 kB"),
        (1234, "count", "1234"),
    ],
)
def test_amounts(value, unit, want):
    assert _top.amount(value, unit) == want


@pytest.mark.parametrize(
    "value, total, want", [(1, 3, "33.3%"), (0, 0, "0.0%"), (5, 5, "100.0%")]
)
def test_shares(value, total, want):
    assert _top.share(value, total) == want


def names(lines):
    return [line.split()[-2] for line in lines[lines.index("") + 2 :]]


@pytest.mark.parametrize(
    "sort, limit, want",
    [
        ("self", 9, ["a", "c", "b"]),
        ("total", 9, ["b", "a", "c"]),
        ("total", 1, ["b"]),
    ],
)
def test_order_and_limit(sort, limit, want):
    p = profile([([0, 1], 6000), ([1], 1000), ([2], 3000)])
    assert names(_top.table(p, "title", sort, limit)) == want


def test_a_whole_table():
    p = profile([([0, 1], 6 * 10**9), ([2], 3 * 10**9)])
    title, about, comment, *rest = _top.table(p, "title", width=100)
    assert title == "title"
    assert about.endswith(", duration 10.0 s, total 9.00 s of cpu")
    assert about.startswith("2020-09-1")
    assert comment == "comment: own cost 0.1 %"
    assert rest == [
        "",
        "  self  self%   total  total%  function  file:line",
        "6.00 s  66.7%  6.00 s   66.7%  a         /app/a.py:10",
        "3.00 s  33.3%  3.00 s   33.3%  c         /app/c.py:30",
        "     0   0.0%  6.00 s   66.7%  b         /app/b.py:20",
    ]


def test_an_empty_profile_says_so():
    assert _top.table(profile([]), "title")[-1] == "nothing was sampled"


@pytest.mark.parametrize("width", [20, 80, 100, 200])
def test_long_names_are_cut_to_the_width(width):
    long = ("f" * 150, "/very/long" * 30 + "/end.py", 1, 77)
    lines = _top.table(profile([([0], 9)], locations=[(long,)]), "t", width=width)
    assert max(map(len, lines[lines.index("") :])) <= max(width, 90)
    assert lines[-1].endswith("/end.py:77")


def test_short_names_leave_their_room_to_the_place():
    long = ("short", "/d" * 30 + "/end.py", 1, 77)
    lines = _top.table(profile([([0], 9)], locations=[(long,)]), "t", width=110)
    assert "/d" * 30 + "/end.py:77" in lines[-1]


def test_names_cannot_steer_the_terminal():
    evil = ("a\x1b[2Jb\n", "/x\r.py", 1, 1)
    p = profile([([0], 9)], locations=[(evil,)])
    p["comments"] = ["\x1b]0;title\x07"]
    text = "\n".join(_top.table(p, "ti\x1btle"))
    assert "\x1b" not in text and "\r" not in text and "\x07" not in text
    assert "a?[2Jb?" in text


def test_any_name_can_be_written_anywhere():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    _top.write(stream, ["caf\xe9"])
    assert raw.getvalue() == b"caf?\n"


@pytest.mark.parametrize("unix_ns", [0, -5, 2**63 - 1])
def test_odd_times_are_no_failure(unix_ns):
    assert _top.moment(unix_ns)
