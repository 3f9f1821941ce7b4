"""The API's types of profiles, and which of them a pprof file is."""

NUMBERS = {
    "CPU": 1,
    "WALL": 2,
    "HEAP": 3,
    "THREADS": 4,
    "CONTENTION": 5,
    "PEAK_HEAP": 6,
    "HEAP_ALLOC": 7,
}
NAMES = {number: name for name, number in NUMBERS.items()}

# A look at one moment: collecting it takes no time.
INSTANT = ("HEAP", "THREADS", "PEAK_HEAP")

# By the names of values, as their writers have them: Go and its relatives, Java, Node,
# Ruby, tcmalloc and jemalloc, Datadog. How often is in most profiles, and says nothing.
_OF_VALUES = {
    "cpu": "CPU",
    "cpu-time": "CPU",
    "wall": "WALL",
    "wall-time": "WALL",
    "inuse_space": "HEAP",
    "inuse_objects": "HEAP",
    "space": "HEAP",
    "objects": "HEAP",
    "heap-space": "HEAP",
    "alloc_space": "HEAP_ALLOC",
    "alloc_objects": "HEAP_ALLOC",
    "alloc-space": "HEAP_ALLOC",
    "goroutine": "THREADS",
    "goroutines": "THREADS",
    "threads": "THREADS",
    "threadcreate": "THREADS",
    "delay": "CONTENTION",
    "contentions": "CONTENTION",
}


def of_profile(profile):
    """The type of a decoded profile, told by what it counts, or None.

    What it shows by default counts first: Go's heap and allocs profiles have the same
    values, and differ in that alone.
    """
    values = [kind for kind, _ in profile["value_types"]]
    wanted = values[profile["default"] :][:1] + values[::-1]
    wanted.append(profile["period_type"][0])
    # Pyroscope writes process_cpu:cpu:nanoseconds and the like.
    parts = [part for value in wanted for part in value.split(":")]
    return next((_OF_VALUES[p] for p in parts if p in _OF_VALUES), None)
