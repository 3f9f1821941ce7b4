"""Stored profiles: a directory of files as received, and an sqlite3 index.

Layout of a store:

    <id>.pb.gz       one profile, byte for byte as it was uploaded
    index.sqlite3    one row for each file
    lock             held (flock) while files and rows are changed together

A profile is on disk for good before its row exists, so a process killed at any
moment leaves at worst a file without a row, which the next open() indexes. The
index keeps sqlite's default rollback journal: there is one small insert every few
seconds, so WAL would gain nothing, and a store stays two kinds of plain files
that can be copied and lie on a network file system.
"""

import collections
import contextlib
import errno
import fcntl
import json
import os
import re
import time

SCHEMA = 1
APPLICATION_ID = 0x67637072  # "gcpr", in sqlite's header: this index is ours
DEFAULT_KEEP = 10000
LOCK_WAIT_S = 30.0  # for sqlite's own locks

_ID = re.compile(r"^[0-9a-f]{32}$")
_FILE = re.compile(r"^([0-9a-f]{32})\.pb\.gz$")
_TEMPORARY = re.compile(r"^\.[0-9a-f]{32}\.tmp$")
_COLUMNS = (
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
)
_CREATE = """
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

# What an orphan's type was, told by the kind of value it shows by default.
_TYPE_OF_VALUES = {
    "cpu": "CPU",
    "wall": "WALL",
    "inuse_space": "HEAP",
    "alloc_space": "HEAP_ALLOC",
    "goroutine": "THREADS",
    "delay": "CONTENTION",
}

try:
    import sqlite3
except ImportError:  # a Python built without it
    sqlite3 = None


class StoreError(Exception):
    """The store cannot be used; the message is one line for a person."""


Stored = collections.namedtuple("Stored", ("seq", *_COLUMNS))
Stored.__doc__ = """A row: `seq` grows with each profile, `labels` is a dict, times
and durations are in nanoseconds, `file` is relative to the store."""


def default_directory(environ=None):
    """Where profiles go when no --store is given."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_DATA_HOME") or ""
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "google-cloud-profiler")


class Store:
    """One open store. Used by one thread; any number of processes may share one.

    directory: made when missing, readable by its owner only.
    decode: a function from bytes to a profile's dict, raising ValueError or
        RuntimeError; it tells which files without a row are profiles.
    keep: how many profiles stay, 1 or more; the oldest are deleted.
    warn: takes one line about something that was mended or left alone.
    """

    def __init__(self, directory, decode, keep=DEFAULT_KEEP, warn=None):
        self.directory = os.path.abspath(directory)
        self._decode = decode
        self._keep = keep
        self._warn = warn or (lambda words: None)
        self._db = None
        self._lock_fd = -1
        with _told(self.directory):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self._open(create=True)

    @classmethod
    def open_existing(cls, directory):
        """Open a store for looking only; nothing is made, mended or deleted."""
        self = cls.__new__(cls)
        self.directory = os.path.abspath(directory)
        self._db = None
        self._lock_fd = -1
        if not os.path.exists(self._path("index.sqlite3")):
            raise StoreError("no profiles are stored in '%s'" % self.directory)
        with _told(self.directory):
            self._open(create=False)
        return self

    def close(self):
        """May be repeated."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def add(self, profile_id, name, project, target, type, labels, duration_ns, data):
        """Keep `data` for good, then return its path.

        profile_id: 32 hex digits; adding one a second time changes nothing.
        type: the API's word, such as "CPU". labels: a dict of str.
        Raises StoreError when it could not be kept; then nothing has changed.
        """
        if not _ID.match(profile_id):
            raise ValueError("not a profile's id: %r" % profile_id)
        file = profile_id + ".pb.gz"
        row = (
            profile_id,
            name,
            project,
            target,
            type,
            json.dumps(labels, sort_keys=True),
            time.time_ns() if hasattr(time, "time_ns") else int(time.time() * 1e9),
            duration_ns,
            len(data),
            file,
        )
        with _told(self.directory), self._locked():
            if not self._known(profile_id):
                self._write(profile_id, data)
                try:
                    self._insert(row)
                except BaseException:
                    os.unlink(self._path(file))
                    raise
        self._drop_oldest()
        return self._path(file)

    def has(self, profile_id):
        """Whether there is a profile of this id."""
        with _told(self.directory):
            return self._known(profile_id)

    def find(self, type=None, target=None, after=0, prefix="", limit=-1):
        """Rows that fit, newest first; all where nothing is asked.

        after: only rows whose `seq` is greater. prefix: the id's beginning.
        """
        with _told(self.directory):
            rows = self._db.execute(
                "SELECT seq, %s FROM profile WHERE seq > ?"
                " AND (? IS NULL OR type = ?) AND (? IS NULL OR target = ?)"
                " AND substr(id, 1, ?) = ? ORDER BY seq DESC LIMIT ?"
                % ", ".join(_COLUMNS),
                (after, type, type, target, target, len(prefix), prefix, limit),
            ).fetchall()
        return [_stored(row) for row in rows]

    def last_seq(self):
        """The `seq` of the newest profile, 0 for none."""
        newest = self.find(limit=1)
        return newest[0].seq if newest else 0

    def path(self, stored):
        """The file of a row, absolute."""
        return self._path(stored.file)

    def read(self, stored):
        """The bytes of a profile. StoreError when they are gone."""
        try:
            with open(self.path(stored), "rb") as file:
                return file.read()
        except OSError as e:
            raise StoreError(
                "cannot read profile '%s': %s" % (self.path(stored), e.strerror)
            ) from e

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _open(self, create):
        if sqlite3 is None:
            raise StoreError("this Python has no sqlite3 module, which stores need")
        index = self._path("index.sqlite3")
        _refuse_foreign_file(index)
        try:
            self._db = sqlite3.connect(
                index if create else "file:%s?mode=rw" % _quoted(index),
                timeout=LOCK_WAIT_S,
                isolation_level=None,  # BEGIN and COMMIT are ours
                uri=not create,
            )
            self._check_schema(index, create)
            if create:
                self._lock_fd = os.open(
                    self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                with self._locked():
                    self._create_schema()
                    self._reconcile()
        except BaseException:
            self.close()
            raise

    def _check_schema(self, index, create):
        ours = self._pragma("application_id")
        schema = self._pragma("user_version")
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if ours != APPLICATION_ID and (tables or schema):
            raise StoreError(
                "'%s' belongs to another program: name another --store" % index
            )
        if schema > SCHEMA:
            raise StoreError(
                "'%s' was made by a newer version (schema %d, this one knows %d):"
                " upgrade google-cloud-profiler or name another --store"
                % (index, schema, SCHEMA)
            )
        if not create and not tables:
            raise StoreError("no profiles are stored in '%s'" % self.directory)

    def _create_schema(self):
        if self._pragma("user_version") == SCHEMA:
            return
        with self._transaction():
            self._db.execute(_CREATE)
            self._db.execute("PRAGMA application_id = %d" % APPLICATION_ID)
            self._db.execute("PRAGMA user_version = %d" % SCHEMA)

    def _pragma(self, name):
        return self._db.execute("PRAGMA " + name).fetchone()[0]

    @contextlib.contextmanager
    def _transaction(self):
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _locked(self):
        """Files and rows change together: one process at a time. The kernel lets
        go of the lock with the process, however that ends."""
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _known(self, profile_id):
        found = self._db.execute("SELECT 1 FROM profile WHERE id = ?", (profile_id,))
        return found.fetchone() is not None

    def _write(self, profile_id, data):
        temporary = self._path(".%s.tmp" % profile_id)
        fd = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        try:
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self._path(profile_id + ".pb.gz"))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        self._sync_directory()

    def _sync_directory(self):
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _insert(self, row):
        with self._transaction():
            self._db.execute(
                "INSERT INTO profile (%s) VALUES (%s)"
                % (", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))),
                row,
            )

    def _drop_oldest(self):
        """Keep the newest. Failing here costs space but no profile."""
        try:
            with _told(self.directory), self._locked():
                self._drop(self._surplus())
        except StoreError as e:
            self._warn("cannot delete old profiles: %s" % e)

    def _surplus(self):
        count = self._db.execute("SELECT count(*) FROM profile").fetchone()[0]
        return self._db.execute(
            "SELECT seq, file FROM profile ORDER BY seq LIMIT ?",
            (max(0, count - self._keep),),
        ).fetchall()

    def _drop(self, rows):
        """The file goes first: a row left over is dropped at the next open, but a
        file left over would come back."""
        if not rows:
            return
        for _, file in rows:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(file))
        with self._transaction():
            self._db.executemany(
                "DELETE FROM profile WHERE seq = ?", [(seq,) for seq, _ in rows]
            )

    def _reconcile(self):
        """Make files and rows agree after a process was killed in between."""
        on_disk = set()
        for name in sorted(os.listdir(self.directory)):
            if _TEMPORARY.match(name):
                os.unlink(self._path(name))
            elif _FILE.match(name):
                on_disk.add(name)
        rows = self._db.execute("SELECT seq, file FROM profile").fetchall()
        gone = [(seq,) for seq, file in rows if file not in on_disk]
        if gone:
            with self._transaction():
                self._db.executemany("DELETE FROM profile WHERE seq = ?", gone)
            self._warn(
                "%d profiles are no longer in '%s'" % (len(gone), self.directory)
            )
        for name in sorted(on_disk.difference(file for _, file in rows)):
            self._adopt(name)

    def _adopt(self, name):
        """Index a file without a row, or move it aside."""
        path = self._path(name)
        with open(path, "rb") as file:
            data = file.read()
        try:
            profile = self._decode(data)
        except (ValueError, RuntimeError) as e:
            os.rename(path, path + ".damaged")
            self._warn("'%s' is no profile (%s): moved to '.damaged'" % (path, e))
            return
        values = profile["value_types"]
        kind = values[profile["default"]][0] if values else ""
        profile_id = _FILE.match(name).group(1)
        self._insert(
            (
                profile_id,
                "projects/-/profiles/" + profile_id,
                "",
                "",
                _TYPE_OF_VALUES.get(kind, "UNKNOWN"),
                "{}",
                int(os.stat(path).st_mtime * 1e9),
                profile["duration_ns"],
                len(data),
                name,
            )
        )


def _stored(row):
    return Stored(*row)._replace(labels=json.loads(row[Stored._fields.index("labels")]))


def _quoted(path):
    """A path inside of sqlite's file: URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _refuse_foreign_file(index):
    """Look before sqlite does, which may roll a journal back into what it opens."""
    try:
        with open(index, "rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        return
    if head and head != b"SQLite format 3\0":
        raise StoreError(
            "'%s' is not an index of profiles: move it away or name another --store"
            % index
        )


@contextlib.contextmanager
def _told(directory):
    """What the system or sqlite says, as a StoreError."""
    database_error = sqlite3.Error if sqlite3 is not None else ()
    try:
        yield
    except OSError as e:
        words = e.strerror or os.strerror(e.errno or errno.EIO)
        raise StoreError("cannot use the store '%s': %s" % (directory, words)) from e
    except database_error as e:
        raise StoreError("cannot use the store '%s': %s" % (directory, e)) from e
