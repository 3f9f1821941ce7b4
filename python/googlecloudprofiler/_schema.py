"""The index of a store: what its tables are, and how older ones become so."""

import collections
import json

VERSION = 2
APPLICATION_ID = 0x67637072  # "gcpr", in sqlite's header: this index is ours

COLUMNS = (
    "id",
    "name",
    "project",
    "target",
    "type",
    "labels",
    "received_unix_ns",
    "duration_ns",
    "size",
    "file",
    "time_unix_ns",
)

Stored = collections.namedtuple("Stored", ("seq", *COLUMNS))
Stored.__doc__ = """A row: `seq` grows with each profile, `labels` is a dict, times
and durations are in nanoseconds, `file` is relative to the store. `time_unix_ns` is
when the profile began."""

_PROFILE = """
CREATE TABLE profile (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    project TEXT NOT NULL,
    target TEXT NOT NULL,
    type TEXT NOT NULL,
    labels TEXT NOT NULL,
    received_unix_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    file TEXT NOT NULL
)
"""

# By the version that they lead to. What each makes must suit a process of an older
# version that has the index open and goes on: new columns have defaults.
_STEPS = {
    1: (_PROFILE,),
    2: (
        "ALTER TABLE profile ADD COLUMN time_unix_ns INTEGER NOT NULL DEFAULT 0",
        # It was uploaded as soon as it was complete.
        "UPDATE profile SET time_unix_ns = received_unix_ns - duration_ns",
        "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ),
}


def version(db):
    """That of an open index; 0 for an empty one, None for another program's."""
    found = pragma(db, "user_version")
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if pragma(db, "application_id") != APPLICATION_ID and (tables or found):
        return None
    return found if tables else 0


def pragma(db, name):
    return db.execute("PRAGMA " + name).fetchone()[0]


def upgrade(db):
    """Make the tables what they are now. Within a transaction: all of it or nothing."""
    for step in range(version(db) + 1, VERSION + 1):
        for statement in _STEPS[step]:
            db.execute(statement)
    db.execute("PRAGMA application_id = %d" % APPLICATION_ID)
    db.execute("PRAGMA user_version = %d" % VERSION)


def columns(found):
    """COLUMNS as an index of version `found` has them, for a SELECT."""
    names = list(COLUMNS)
    if found < 2:
        names[names.index("time_unix_ns")] = "received_unix_ns - duration_ns"
    return "seq, " + ", ".join(names)


def row(values):
    """A Stored of what such a SELECT gives."""
    stored = Stored(*values)
    return stored._replace(labels=json.loads(stored.labels))
