"""Which type a profile is of, by what its writers call their values."""

import pytest
from googlecloudprofiler import _types

COUNT, NS, BYTES = "count", "nanoseconds", "bytes"
GO_HEAP = ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]


def profile(values, default=None, period=""):
    return {
        "value_types": [(v, "unit") for v in values],
        "default": len(values) - 1 if default is None else default,
        "period_type": (period, ""),
    }


@pytest.mark.parametrize(
    "values, default, want",
    [
        (["sample", "cpu"], None, "CPU"),  # ours, Java's
        (["sample", "wall"], None, "WALL"),
        (["samples", "cpu"], None, "CPU"),  # Go's
        (["samples", "cpu"], 0, "CPU"),
        (GO_HEAP, None, "HEAP"),
        (GO_HEAP, 3, "HEAP"),
        (GO_HEAP, 1, "HEAP_ALLOC"),  # the allocs profile
        (["alloc_objects", "alloc_space"], None, "HEAP_ALLOC"),
        (["alloc_objects"], None, "HEAP_ALLOC"),  # Ruby's
        (["goroutine"], None, "THREADS"),
        (["threadcreate"], None, "THREADS"),
        (["contentions", "delay"], None, "CONTENTION"),
        (["inuse_objects", "inuse_space"], None, "HEAP"),  # Java's
        (["objects", "space"], None, "HEAP"),  # Node's, tcmalloc's
        (["process_cpu:cpu:nanoseconds"], None, "CPU"),  # Pyroscope's
        (["cpu-samples", "cpu-time", "exception-samples"], None, "CPU"),  # Datadog's
        (["fish", "chips"], None, None),
        ([], 0, None),
    ],
)
def test_types_of_known_writers(values, default, want):
    assert _types.of_profile(profile(values, default)) == want


def test_the_period_tells_where_the_values_do_not():
    assert _types.of_profile(profile(["samples"], period="cpu")) == "CPU"
