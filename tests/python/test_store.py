"""The store keeps what it said it keeps, whatever happens to its process."""

import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest
from googlecloudprofiler import _store

PROFILE = b"profile "


def decode(data):
    """A stand-in for the native reader."""
    if not data.startswith(PROFILE):
        raise RuntimeError("no profile")
    return {"value_types": [("wall", "nanoseconds")], "default": 0, "duration_ns": 7}


def open_store(path, **options):
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
    db.execute("PRAGMA user_version = %d" % (_store.SCHEMA + 1))
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


WRITER = """
import os, signal, sys
sys.path[:] = {path!r}
sys.path.insert(0, {here!r})
import test_store
left = int(sys.argv[3])

def die_in_time(frame, event, argument):
    global left
    if not frame.f_code.co_filename.endswith("_store.py"):
        return None
    left -= event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return die_in_time

with test_store.open_store(sys.argv[1], keep=20) as store:
    i = int(sys.argv[2])
    sys.settrace(die_in_time)
    while True:
        i += 1
        test_store.add(store, i)
        os.write(1, b"%d\\n" % i)
"""


def test_kill_9_at_any_moment_loses_nothing(tmp_path):
    """What was acknowledged is there afterwards, and rows and files agree. The
    moment is a number of executed lines, so that each of them gets its chance."""
    chance = random.Random(20)
    store_path = tmp_path / "s"
    code = WRITER.format(path=sys.path, here=os.path.dirname(os.path.abspath(__file__)))
    newest = 0
    for _ in range(20):
        lines = chance.randrange(1, 400)
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(store_path), str(newest), str(lines)],
            stdout=subprocess.PIPE,
        )
        acknowledged = child.communicate(timeout=60)[0].split()
        assert child.returncode == -signal.SIGKILL

        with open_store(store_path, keep=20) as store:
            rows = store.find()
            ids = [int(row.id, 16) for row in rows]
            files = {n for n in os.listdir(str(store_path)) if n.endswith(".pb.gz")}
            assert files == {row.file for row in rows}
            assert not [n for n in os.listdir(str(store_path)) if n.endswith(".tmp")]
            assert all(store.read(r) == PROFILE + b"%d" % int(r.id, 16) for r in rows)
            last = int(acknowledged[-1]) if acknowledged else newest
            assert max([*ids, 0]) in (last, last + 1)  # one may be unacknowledged
            assert len(rows) >= min(20, last)
            newest = max([*ids, 0])
