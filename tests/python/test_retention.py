"""Sizes and times as people write them, and what exceeds the limits."""

import collections

import pytest
from googlecloudprofiler import _retention

DAY = 86400


@pytest.mark.parametrize(
    "text, want",
    [
        ("1", 1),
        ("1000", 1000),
        ("500M", 500 << 20),
        ("10G", 10 << 30),
        ("1.5g", 3 << 29),
        ("2KB", 2048),
        ("3 MiB", 3 << 20),
        ("1T", 1 << 40),
    ],
)
def test_sizes(text, want):
    assert _retention.parse_bytes(text) == want


@pytest.mark.parametrize(
    "text, want",
    [("90s", 90), ("5m", 300), ("12h", DAY // 2), ("30d", 30 * DAY), ("1.5w", 907200)],
)
def test_times(text, want):
    assert _retention.parse_age(text) == want


@pytest.mark.parametrize(
    "parse, text, words",
    [
        (_retention.parse_bytes, "", "'' is not a size such as 10G"),
        (_retention.parse_bytes, "G", "not a size"),
        (_retention.parse_bytes, "-1G", "not a size"),
        (_retention.parse_bytes, "1e9", "not a size"),
        (_retention.parse_bytes, "10GX", "not a size"),
        (_retention.parse_bytes, "inf", "not a size"),
        (_retention.parse_bytes, "10G\n", "not a size"),
        (_retention.parse_bytes, "9" * 400, "not a size"),
        (_retention.parse_bytes, "0", "'0' is too small"),
        (_retention.parse_bytes, "0.4", "too small"),
        (_retention.parse_bytes, "99999999T", "too large"),
        (_retention.parse_age, "30", "'30' is not a time such as 30d"),
        (_retention.parse_age, "30 days", "not a time"),
        (_retention.parse_age, "1y", "not a time"),
        (_retention.parse_age, "0d", "too small"),
        (_retention.parse_age, "101000w", "too large"),
    ],
)
def test_what_is_no_limit_is_told_with_an_example(parse, text, words):
    with pytest.raises(ValueError) as e:
        parse(text)
    assert words in str(e.value)


Row = collections.namedtuple("Row", "size received_unix_ns")


@pytest.mark.parametrize(
    "limits, want",
    [
        ((9, 99, 99), 0),
        ((3, 99, 99), 1),  # 4 profiles
        ((1, 99, 99), 3),
        ((9, 30, 99), 1),  # 40 bytes
        ((9, 29, 99), 2),
        ((9, 1, 99), 3),  # the newest stays
        ((9, 99, 4), 0),  # they are 4, 3, 2 and 1 seconds old
        ((9, 99, 3), 1),
        ((9, 99, 0.5), 4),
        ((2, 10, 99), 3),  # the strictest counts
    ],
)
def test_the_oldest_exceed_the_limits(limits, want):
    rows = [Row(10, i * 10**9) for i in range(4)]
    found = _retention.surplus(rows, 4, 40, _retention.Limits(*limits), 4 * 10**9)
    assert found == rows[:want]
