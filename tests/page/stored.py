"""Stores with profiles of any time. For tests without a browser, profiles are JSON,
and decode() stands for the native reader."""

import json

from googlecloudprofiler import _retention, _store

HOUR = 3600


def decode(data):
    try:
        profile = json.loads(data.decode())
    except ValueError:
        raise RuntimeError("no profile") from None
    for location in profile.get("locations", []):
        location[:] = map(tuple, location)
    return profile


def encoded(*names, value=5, kind="cpu"):
    """A profile of one stack, root first."""
    return json.dumps(
        {
            "value_types": [(kind, "nanoseconds")],
            "default": 0,
            "samples": [(list(range(len(names)))[::-1], [value], [])],
            "locations": [[(name, name + ".py", 2, 1)] for name in names],
            "comments": [],
            "time_ns": 7,
            "duration_ns": 10**9,
        }
    ).encode()


class Shelf:
    """A store that profiles are put in as if at an hour since 1970."""

    def __init__(self, directory, decode=decode):
        self.directory = str(directory)
        self._decode = decode
        self._nr = 0
        with self._store():
            pass

    def _store(self):
        return _store.Store(self.directory, self._decode, _retention.MAX)

    def put(self, target="web", type="CPU", hour=0, data=None, **labels):
        """Returns the profile's id."""
        self._nr += 1
        id = "%08xabc%021x" % (self._nr, 7)
        name = "projects/p/profiles/" + id
        data = data or encoded("main")
        with self._store() as store:
            store.add(id, name, "p", target, type, labels, 1, data)
            store._db.execute(
                "UPDATE profile SET received_unix_ns = ? WHERE id = ?",
                (hour * HOUR * 10**9, id),
            )
        return id
