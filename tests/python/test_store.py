"""The store keeps what it said it keeps, whatever happens to its process."""

import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest
from googlecloudprofiler import _retention, _schema, _store

PROFILE = b"profile "


def decode(data):
    """A stand-in for the native reader."""
    if not data.startswith(PROFILE):
        raise RuntimeError("no profile")
    return {
        "value_types": [("wall", "nanoseconds")],
        "default": 0,
        "duration_ns": 7,
        "time_ns": 0,
        "period_type": ("", ""),
    }


def open_store(path, keep=None, **options):
    if keep is not None:
        options["limits"] = _retention.DEFAULT._replace(profiles=keep)
    return _store.Store(str(path), decode, **options)


def profile_id(i):
    return "%032x" % i


def add(store, i, type="CPU", target="web"):
    name = "projects/p/profiles/" + profile_id(i)
    data = PROFILE + b"%d" % i
    return store.add(profile_id(i), name, "p", target, type, {"zone": "z"}, 10, data)


def contents(path):
    """What is in a directory, byte by byte."""
    found = {}
    for name in sorted(os.listdir(str(path))):
        with open(os.path.join(str(path), name), "rb") as file:
            found[name] = file.read()
    return found


def test_bytes_are_kept_as_they_came(tmp_path):
    with open_store(tmp_path / "s") as store:
        path = add(store, 1)
        (row,) = store.find()
        assert store.read(row) == PROFILE + b"1"
        assert store.path(row) == path
        assert (row.type, row.target, row.labels) == ("CPU", "web", {"zone": "z"})
        assert row.size == len(PROFILE) + 1
        assert row.received_unix_ns > 0
    assert os.stat(path).st_mode & 0o077 == 0
    assert os.stat(str(tmp_path / "s")).st_mode & 0o077 == 0


def test_a_second_upload_of_one_id_changes_nothing(tmp_path):
    with open_store(tmp_path) as store:
        add(store, 1)
        name = "projects/p/profiles/" + profile_id(1)
        store.add(profile_id(1), name, "p", "web", "CPU", {}, 10, PROFILE + b"other")
        (row,) = store.find()
        assert store.read(row) == PROFILE + b"1"


@pytest.mark.parametrize("bad", ["", "x" * 32, "../" + "0" * 29, "0" * 31, "0" * 33])
def test_only_our_ids_become_file_names(tmp_path, bad):
    with open_store(tmp_path) as store, pytest.raises(ValueError):
        store.add(bad, "n", "p", "t", "CPU", {}, 1, PROFILE)


@pytest.mark.parametrize(
    "query, want",
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"limit": 2}, [5, 4]),
        ({"type": "WALL"}, [4, 2]),
        ({"type": "HEAP"}, []),
        ({"target": "db"}, [5]),
        ({"after": 3}, [5, 4]),
        ({"prefix": "0" * 31 + "3"}, [3]),
        ({"prefix": "%"}, []),
    ],
)
def test_find(tmp_path, query, want):
    with open_store(tmp_path) as store:
        for i in range(1, 6):
            add(store, i, "CPU" if i % 2 else "WALL", "db" if i == 5 else "web")
        assert [int(row.id, 16) for row in store.find(**query)] == want
        assert store.last_seq() == 5


def test_the_oldest_are_deleted_beyond_keep(tmp_path):
    with open_store(tmp_path, keep=3) as store:
        for i in range(1, 6):
            add(store, i)
        assert [int(row.id, 16) for row in store.find()] == [5, 4, 3]
    files = [name for name in os.listdir(str(tmp_path)) if name.endswith(".pb.gz")]
    assert sorted(files) == [profile_id(i) + ".pb.gz" for i in (3, 4, 5)]


def test_the_oldest_are_deleted_beyond_a_size(tmp_path):
    limits = _retention.DEFAULT._replace(bytes=3 * (len(PROFILE) + 1))
    with open_store(tmp_path, limits=limits) as store:
        for i in range(1, 6):
            add(store, i)
        assert [int(row.id, 16) for row in store.find()] == [5, 4, 3]


def test_the_newest_stays_however_large_it_is(tmp_path):
    limits = _retention.DEFAULT._replace(bytes=1)
    with open_store(tmp_path, limits=limits) as store:
        for i in range(1, 4):
            add(store, i)
        assert [int(row.id, 16) for row in store.find()] == [3]


class World:
    """Clocks that the store reads."""

    def __init__(self, monkeypatch):
        self.now = 1000000.0
        monkeypatch.setattr(_store.time, "time", lambda: self.now)
        monkeypatch.setattr(_store.time, "monotonic", lambda: self.now)


def test_what_has_become_too_old_is_deleted_while_nothing_comes(tmp_path, monkeypatch):
    world = World(monkeypatch)
    with open_store(tmp_path, limits=_retention.Limits(9, 10**9, 3600)) as store:
        add(store, 1)
        world.now += 1800
        add(store, 2)
        for later, left in [(1740, [2, 1]), (120, [2]), (1680, [2]), (120, [])]:
            world.now += later
            store.tidy()
            assert [int(row.id, 16) for row in store.find()] == left
    assert [name for name in os.listdir(str(tmp_path)) if name[0] == "0"] == []


def test_looks_at_what_is_too_old_are_a_minute_apart(tmp_path, monkeypatch):
    world = World(monkeypatch)
    with open_store(tmp_path, limits=_retention.Limits(9, 10**9, 10)) as store:
        add(store, 1)
        world.now += 59
        store.tidy()
        assert len(store.find()) == 1
        world.now += 1
        store.tidy()
        assert store.find() == []


def test_limits_hold_as_the_store_is_opened(tmp_path, monkeypatch):
    world = World(monkeypatch)
    with open_store(tmp_path) as store:
        for i in range(1, 6):
            add(store, i)
    with open_store(tmp_path, keep=4) as store:
        assert [int(row.id, 16) for row in store.find()] == [5, 4, 3, 2]
    world.now += 31 * 86400
    open_store(tmp_path).close()
    with _store.Store.open_existing(str(tmp_path)) as store:
        assert store.find() == []


def test_who_gives_no_limits_has_those_that_were_given_last(tmp_path):
    with open_store(tmp_path) as store:
        assert store.limits == _retention.DEFAULT
    with open_store(tmp_path, keep=20000):
        pass
    with open_store(tmp_path) as store:
        assert store.limits == _retention.DEFAULT._replace(profiles=20000)


SCHEMA_1 = (
    "CREATE TABLE profile (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, project TEXT NOT NULL,"
    " target TEXT NOT NULL, type TEXT NOT NULL, labels TEXT NOT NULL,"
    " received_unix_ns INTEGER NOT NULL, duration_ns INTEGER NOT NULL,"
    " size INTEGER NOT NULL, file TEXT NOT NULL)"
)
INSERT_1 = (
    "INSERT INTO profile (id, name, project, target, type, labels, received_unix_ns,"
    " duration_ns, size, file) VALUES (?, 'n', 'p', 'web', 'CPU', '{\"zone\": \"z\"}',"
    " %d, 5, 9, ?)"
)
NOW_NS = 4 * 10**18  # a time that is not too old before 2096


def make_schema_1(path, ids):
    """A store as the first version left it."""
    os.makedirs(str(path), exist_ok=True)
    db = sqlite3.connect(str(path / "index.sqlite3"))
    db.execute(SCHEMA_1)
    for i in ids:
        file = profile_id(i) + ".pb.gz"
        (path / file).write_bytes(PROFILE + b"%d" % i)
        db.execute(INSERT_1 % NOW_NS, (profile_id(i), file))
    db.execute("PRAGMA application_id = %d" % _schema.APPLICATION_ID)
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def check_as_in_schema_1(store, ids):
    rows = store.find()
    assert [int(row.id, 16) for row in rows] == sorted(ids, reverse=True)
    for row in rows:
        assert row.labels == {"zone": "z"}
        assert (row.type, row.target, row.size) == ("CPU", "web", 9)
        assert (row.received_unix_ns, row.duration_ns) == (NOW_NS, 5)
        assert row.time_unix_ns == NOW_NS - 5
        assert store.read(row) == PROFILE + b"%d" % int(row.id, 16)


def test_an_older_index_is_looked_at_as_it_is_and_upgraded_with_all_it_has(tmp_path):
    make_schema_1(tmp_path, range(1, 10))
    before = contents(tmp_path)
    with _store.Store.open_existing(str(tmp_path)) as store:
        check_as_in_schema_1(store, range(1, 10))
        assert contents(tmp_path) == before
        with open_store(tmp_path) as other:
            check_as_in_schema_1(other, range(1, 10))
            # Who has looked at it before goes on.
            check_as_in_schema_1(store, range(1, 10))
    db = sqlite3.connect(str(tmp_path / "index.sqlite3"))
    # So does an older version's process that writes to it.
    db.execute(INSERT_1 % NOW_NS, (profile_id(11), "f"))
    assert _schema.version(db) == _schema.VERSION
    db.close()


def test_the_time_of_a_profile_is_its_own_or_follows_from_its_end(tmp_path):
    with open_store(tmp_path) as store:
        for i, time_ns in enumerate([77, 0, -5, 1 << 70]):
            store.add(profile_id(i), "n", "p", "t", "CPU", {}, 10, PROFILE, time_ns)
        rows = store.find()[::-1]
    assert rows[0].time_unix_ns == 77
    assert all(row.time_unix_ns == row.received_unix_ns - 10 for row in rows[1:])


def test_files_without_a_row_are_indexed(tmp_path):
    open_store(tmp_path).close()
    (tmp_path / (profile_id(9) + ".pb.gz")).write_bytes(PROFILE)
    with open_store(tmp_path) as store:
        (row,) = store.find()
        assert (row.id, row.type, row.duration_ns) == (profile_id(9), "WALL", 7)
        assert store.has(profile_id(9))


def test_files_that_are_no_profile_are_moved_aside(tmp_path):
    open_store(tmp_path).close()
    (tmp_path / (profile_id(9) + ".pb.gz")).write_bytes(b"garbage")
    said = []
    with open_store(tmp_path, warn=said.append) as store:
        assert store.find() == []
    assert (tmp_path / (profile_id(9) + ".pb.gz.damaged")).read_bytes() == b"garbage"
    assert len(said) == 1
    open_store(tmp_path, warn=said.append).close()
    assert len(said) == 1


def test_leftovers_go_and_other_files_stay(tmp_path):
    open_store(tmp_path).close()
    (tmp_path / (".%s.tmp" % profile_id(1))).write_bytes(b"half")
    (tmp_path / "notes.pb.gz").write_bytes(b"mine")
    open_store(tmp_path).close()
    assert not (tmp_path / (".%s.tmp" % profile_id(1))).exists()
    assert (tmp_path / "notes.pb.gz").read_bytes() == b"mine"


def test_rows_without_a_file_are_dropped(tmp_path):
    with open_store(tmp_path) as store:
        os.unlink(add(store, 1))
        add(store, 2)
    with open_store(tmp_path) as store:
        assert [int(row.id, 16) for row in store.find()] == [2]


def test_a_failed_insert_leaves_nothing(tmp_path):
    with open_store(tmp_path) as store:
        store._db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON profile"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        with pytest.raises(_store.StoreError, match="disk full"):
            add(store, 1)
        assert not store.has(profile_id(1))
    assert not (tmp_path / (profile_id(1) + ".pb.gz")).exists()


def newer(path):
    open_store(path).close()
    db = sqlite3.connect(str(path / "index.sqlite3"))
    db.execute("PRAGMA user_version = %d" % (_schema.VERSION + 1))
    db.commit()
    db.close()


def someone_elses(path):
    db = sqlite3.connect(str(path / "index.sqlite3"))
    db.execute("CREATE TABLE mail (body TEXT)")
    db.commit()
    db.close()


def text(path):
    (path / "index.sqlite3").write_bytes(b"dear diary\n")


def long_garbage(path):
    (path / "index.sqlite3").write_bytes(bytes(range(256)) * 64)


def damaged(path):
    open_store(path).close()
    file = path / "index.sqlite3"
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 8000)


@pytest.mark.parametrize(
    "make, words",
    [
        (newer, "newer version"),
        (someone_elses, "another program"),
        (text, "not an index"),
        (long_garbage, "not an index"),
        (damaged, "cannot use the store"),
    ],
)
def test_an_index_that_is_not_ours_is_refused_and_untouched(tmp_path, make, words):
    make(tmp_path)
    (tmp_path / (profile_id(1) + ".pb.gz")).write_bytes(PROFILE)
    before = contents(tmp_path)
    for opener in (open_store, lambda p: _store.Store.open_existing(str(p))):
        with pytest.raises(_store.StoreError, match=words):
            opener(tmp_path)
        after = contents(tmp_path)
        after.pop("lock", None)
        before.pop("lock", None)
        assert after == before


def test_looking_makes_nothing(tmp_path):
    with pytest.raises(_store.StoreError, match="no profiles"):
        _store.Store.open_existing(str(tmp_path / "nowhere"))
    assert os.listdir(str(tmp_path)) == []


def test_a_path_with_odd_characters(tmp_path):
    odd = tmp_path / "a%20b?c#d"
    with open_store(odd) as store:
        add(store, 1)
    with _store.Store.open_existing(str(odd)) as store:
        assert len(store.find()) == 1


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "s").write_bytes(b"")
    with pytest.raises(_store.StoreError):
        open_store(tmp_path / "s")


def test_two_processes_may_share_a_store(tmp_path):
    with open_store(tmp_path) as one, open_store(tmp_path) as two:
        add(one, 1)
        add(two, 2)
        add(two, 1)
        assert [int(row.id, 16) for row in one.find()] == [2, 1]


KILLED = """
import os, signal, sys
sys.path[:] = {path!r}
sys.path.insert(0, {here!r})
import test_store
directory, newest, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def die_in_time(frame, event, argument):
    global left
    file = os.path.basename(frame.f_code.co_filename)
    if file not in ("_store.py", "_schema.py", "_retention.py"):
        return None
    left -= event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return die_in_time

"""

WRITER = (
    KILLED
    + """
with test_store.open_small(directory) as store:
    sys.settrace(die_in_time)
    while True:
        newest += 1
        test_store.add(store, newest)
        os.write(1, b"%d\\n" % newest)
"""
)

OPENER = (
    KILLED
    + """
sys.settrace(die_in_time)
test_store.open_store(directory).close()
"""
)


def open_small(path):
    """It keeps 20 profiles of one digit, and less of longer ones."""
    limits = _retention.Limits(20, 20 * (len(PROFILE) + 1), 3600)
    return open_store(path, limits=limits)


def start_python(code, *arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    code = code.format(path=sys.path, here=here)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE
    )


def check_whole(store):
    """Rows and files agree, and each is what was written."""
    rows = store.find()
    names = os.listdir(store.directory)
    assert {n for n in names if n.endswith(".pb.gz")} == {row.file for row in rows}
    assert {n for n in names if not n.endswith(".pb.gz")} <= {"index.sqlite3", "lock"}
    for row in rows:
        assert store.read(row) == PROFILE + b"%d" % int(row.id, 16)
    return [int(row.id, 16) for row in rows]


def check_after_kill(path, newest, acknowledged):
    """What was acknowledged is there; returns the newest."""
    with open_small(path) as store:
        ids = check_whole(store)
        last = int(acknowledged[-1]) if acknowledged else newest
        assert max([*ids, 0]) in (last, last + 1)  # one may be unacknowledged
        # Eighteen of two digits, sixteen of three, and so on.
        assert len(ids) >= min(18 if last < 100 else 14, last)
        assert ids == sorted(ids, reverse=True)
        return max([*ids, 0])


def test_kill_9_at_any_moment_loses_nothing(tmp_path):
    """What was acknowledged is there afterwards, and rows and files agree. The
    moment is a number of executed lines, so that each of them gets its chance."""
    chance = random.Random(20)
    newest = 0
    for _ in range(20):
        lines = chance.randrange(1, 600)
        child = start_python(WRITER, tmp_path, newest, lines)
        acknowledged = child.communicate(timeout=60)[0].split()
        assert child.returncode == -signal.SIGKILL
        newest = check_after_kill(tmp_path, newest, acknowledged)


def test_kill_9_from_outside_loses_nothing(tmp_path):
    """Within a system call, too, where no line begins."""
    chance = random.Random(21)
    newest = 0
    for _ in range(8):
        child = start_python(WRITER, tmp_path, newest, 10**9)
        acknowledged = [child.stdout.readline()]
        for _ in range(chance.randrange(1, 20)):
            acknowledged.append(child.stdout.readline())
        child.kill()
        acknowledged += child.communicate(timeout=60)[0].split()
        newest = check_after_kill(tmp_path, newest, acknowledged)


def test_kill_9_while_an_index_is_upgraded_loses_nothing(tmp_path):
    survived = []
    for lines in range(1, 1000, 7):
        path = tmp_path / str(lines)
        make_schema_1(path, range(1, 4))
        child = start_python(OPENER, path, 0, lines)
        child.communicate(timeout=60)
        with open_store(path) as store:
            check_as_in_schema_1(store, range(1, 4))
            check_whole(store)
        if child.returncode == 0:
            survived.append(lines)
            break
        assert child.returncode == -signal.SIGKILL
    assert survived and survived[0] > 40


READER = """
import sys
sys.path[:] = {path!r}
sys.path.insert(0, {here!r})
import test_store
from googlecloudprofiler import _store

newest = read = 0
while newest < int(sys.argv[2]):
    with _store.Store.open_existing(sys.argv[1]) as store:
        ids = []
        for row in store.find():
            ids.append(int(row.id, 16))
            try:
                assert store.read(row) == test_store.PROFILE + b"%d" % ids[-1]
                read += 1
            except _store.StoreError:
                # It was the oldest, and has been deleted.
                assert row.id not in {{r.id for r in store.find(limit=5)}}
    assert ids == list(range(ids[0], ids[-1] - 1, -1))
    assert ids[0] >= newest
    newest = ids[0]
print(read)
"""


def test_two_may_read_while_one_writes(tmp_path):
    last = 60
    with open_store(tmp_path, keep=10) as store:
        add(store, 1)
        readers = [start_python(READER, tmp_path, last) for _ in range(2)]
        for i in range(2, last + 1):
            add(store, i)
        for reader in readers:
            assert int(reader.communicate(timeout=60)[0]) > 0
            assert reader.returncode == 0
