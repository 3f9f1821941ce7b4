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

import contextlib
import errno
import fcntl
import json
import os
import re
import time

from googlecloudprofiler import _retention, _schema, _types

LOCK_WAIT_S = 30.0  # for sqlite's own locks
TIDY_S = 60.0  # between two looks at what has become too old

_ID = re.compile(r"^[0-9a-f]{32}\Z")
_FILE = re.compile(r"^([0-9a-f]{32})\.pb\.gz$")
_TEMPORARY = re.compile(r"^\.[0-9a-f]{32}\.tmp$")
_MAX_NS = (1 << 63) - 1  # what sqlite holds

try:
    import sqlite3
except ImportError:  # a Python built without it
    sqlite3 = None


class StoreError(Exception):
    """The store cannot be used; the message is one line for a person."""


def is_id(text):
    """Whether a text from outside could be the id of a profile."""
    return _ID.match(text) is not None


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
    limits: how much is kept, from now on and by whoever opens it without; None: as
        it was said the last time.
    warn: takes one line about something that was mended or left alone.
    """

    def __init__(self, directory, decode, limits=None, warn=None):
        self.directory = os.path.abspath(directory)
        self._decode = decode
        self._warn = warn or (lambda words: None)
        self._db = None
        self._lock_fd = -1
        self._tidied_s = 0.0
        with _told(self.directory):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self._open(create=True, limits=limits)
        self._drop_surplus()

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

    def add(
        self,
        profile_id,
        name,
        project,
        target,
        type,
        labels,
        duration_ns,
        data,
        time_unix_ns=0,
    ):
        """Keep `data` for good, then return its path.

        profile_id: 32 hex digits; adding one a second time changes nothing.
        type: the API's word, such as "CPU". labels: a dict of str.
        time_unix_ns: when the profile began; 0 for so long ago as it lasted.
        Raises StoreError when it could not be kept; then nothing has changed.
        """
        if not is_id(profile_id):
            raise ValueError("not a profile's id: %r" % profile_id)
        file = profile_id + ".pb.gz"
        now_ns = _now_ns()
        row = (
            profile_id,
            name,
            project,
            target,
            type,
            json.dumps(labels, sort_keys=True),
            now_ns,
            *(duration_ns, len(data), file),
            _began(time_unix_ns, now_ns, duration_ns),
        )
        with _told(self.directory), self._locked():
            if not self._known(profile_id):
                self._write(profile_id, data)
                try:
                    self._insert(row)
                except BaseException:
                    os.unlink(self._path(file))
                    raise
        self._drop_surplus()
        return self._path(file)

    def tidy(self):
        """Delete what has become too old. May be called as often as one likes."""
        if time.monotonic() - self._tidied_s >= TIDY_S:
            self._drop_surplus()

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
                "SELECT %s FROM profile WHERE seq > ?"
                " AND (? IS NULL OR type = ?) AND (? IS NULL OR target = ?)"
                " AND substr(id, 1, ?) = ? ORDER BY seq DESC LIMIT ?"
                % _schema.columns(_schema.version(self._db)),
                (after, type, type, target, target, len(prefix), prefix, limit),
            ).fetchall()
        return [_schema.row(row) for row in rows]

    def last_seq(self):
        """The `seq` of the newest profile, 0 for none."""
        newest = self.find(limit=1)
        return newest[0].seq if newest else 0

    def path(self, stored):
        """The file of a row, absolute."""
        return self._path(stored.file)

    def title(self, stored):
        """What a person calls it; ends with its file's path."""
        process = stored.labels.get("process")
        return "%s profile of '%s'%s, %s" % (
            stored.type,
            stored.target or "unknown",
            ", process %s" % process if process else "",
            self.path(stored),
        )

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

    def _open(self, create, limits=None):
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
                    self._upgrade()
                    self.limits = self._settle(limits)
                    self._reconcile()
        except BaseException:
            self.close()
            raise

    def _check_schema(self, index, create):
        found = _schema.version(self._db)
        if found is None:
            raise StoreError(
                "'%s' belongs to another program: name another --store" % index
            )
        if found > _schema.VERSION:
            raise StoreError(
                "'%s' was made by a newer version (schema %d, this one knows %d):"
                " upgrade google-cloud-profiler or name another --store"
                % (index, found, _schema.VERSION)
            )
        if not create and not found:
            raise StoreError("no profiles are stored in '%s'" % self.directory)

    def _upgrade(self):
        if _schema.version(self._db) < _schema.VERSION:
            with self._transaction():
                _schema.upgrade(self._db)

    def _settle(self, limits):
        """The limits that hold: those given, which are written down, or known."""
        query = "SELECT value FROM setting WHERE name = 'limits'"
        found = self._db.execute(query).fetchone()
        known = _retention.Limits(*json.loads(found[0])) if found else None
        if limits is None:
            return known or _retention.DEFAULT
        if limits != known:
            with self._transaction():
                self._db.execute(
                    "INSERT OR REPLACE INTO setting VALUES ('limits', ?)",
                    (json.dumps(limits),),
                )
        return limits

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
                % (", ".join(_schema.COLUMNS), ", ".join("?" * len(row))),
                row,
            )

    def _drop_surplus(self):
        """Keep within the limits. Failing here costs space but no profile."""
        self._tidied_s = time.monotonic()
        try:
            with _told(self.directory), self._locked():
                self._drop(self._surplus())
        except StoreError as e:
            self._warn("cannot delete old profiles: %s" % e)

    def _surplus(self):
        count, size = self._db.execute(
            "SELECT count(*), ifnull(sum(size), 0) FROM profile"
        ).fetchone()
        rows = self._db.execute(
            "SELECT %s FROM profile ORDER BY seq" % _schema.columns(_schema.VERSION)
        )
        return _retention.surplus(
            map(_schema.row, rows), count, size, self.limits, _now_ns()
        )

    def _drop(self, rows):
        """The file goes first: a row left over is dropped at the next open, but a
        file left over would come back."""
        if not rows:
            return
        for row in rows:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(row))
        with self._transaction():
            self._db.executemany(
                "DELETE FROM profile WHERE seq = ?", [(row.seq,) for row in rows]
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
        profile_id = _FILE.match(name).group(1)
        received_ns = int(os.stat(path).st_mtime * 1e9)
        duration_ns = max(0, profile["duration_ns"])
        self._insert(
            (
                profile_id,
                "projects/-/profiles/" + profile_id,
                "",
                "",
                _types.of_profile(profile) or "UNKNOWN",
                "{}",
                received_ns,
                *(duration_ns, len(data), name),
                _began(profile["time_ns"], received_ns, duration_ns),
            )
        )


def _now_ns():
    return int(time.time() * 1e9)


def _began(time_ns, received_ns, duration_ns):
    """When a profile began, where it may not say so."""
    return time_ns if 0 < time_ns <= _MAX_NS else max(0, received_ns - duration_ns)


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
