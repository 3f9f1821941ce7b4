"""What is chosen of a store is what the page is told, within bounds."""

import os

import pytest
from googlecloudprofiler import _html, _selection, _store
from stored import HOUR, Shelf, decode, encoded


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "store")


def choices(shelf):
    with _store.Store.open_existing(shelf.directory) as store:
        return _selection.choices(store)


def merged(shelf, **words):
    """What the page is told; a before_x is the word before.x."""
    words = {k.replace("_", ".").rstrip("."): v for k, v in words.items()}
    words = {"target": "web", "type": "CPU", **words}
    with _store.Store.open_existing(shelf.directory) as store:
        return _selection.merged(store, decode, _selection.selection(words))


def ids(told):
    return [profile["id"] for profile in told["profiles"]]


def test_choices_are_each_service_version_zone_and_type(shelf):
    shelf.put(hour=1, version="1", zone="z")
    shelf.put(hour=3, version="1", zone="z")
    shelf.put("db", "WALL", hour=2)
    web, db = choices(shelf)[::-1]
    assert web == {
        **{"target": "web", "version": "1", "zone": "z", "type": "CPU"},
        **{"count": 2, "first": 1 * HOUR, "last": 3 * HOUR},
    }
    assert (db["target"], db["version"], db["zone"]) == ("db", "", "")


def test_of_an_empty_store_there_is_nothing_to_choose(shelf):
    assert choices(shelf) == []
    assert merged(shelf)["profiles"] == []


@pytest.mark.parametrize(
    "words, want",
    [
        ({}, [3, 2, 1, 0]),
        ({"version": "1"}, [1, 0]),
        ({"version": ""}, [3]),
        ({"zone": "b"}, [1]),
        ({"version": "1", "zone": "b"}, [1]),
        ({"version": "1", "zone": "c"}, []),
        ({"from": str(2 * HOUR)}, [3, 2]),
        ({"to": str(2 * HOUR)}, [1, 0]),
        ({"from": str(HOUR), "to": str(HOUR + 1)}, [1]),
        ({"type": "WALL"}, [4]),
        ({"target": ""}, [5]),
        ({"target": "w"}, []),
    ],
)
def test_what_fits_is_shown_newest_first(shelf, words, want):
    made = [
        shelf.put(hour=0, version="1", zone="a"),
        shelf.put(hour=1, version="1", zone="b"),
        shelf.put(hour=2, version="2", zone="a"),
        shelf.put(hour=3),
        shelf.put(type="WALL"),
        shelf.put(target=""),
    ]
    told = merged(shelf, **words)
    assert ids(told) == [made[i] for i in want]
    assert told["fitting"] == told["shown"] == [len(want)]
    assert told["compare"] is None


def test_two_versions_are_two_sides(shelf):
    old, new = shelf.put(version="1"), shelf.put(version="2")
    told = merged(shelf, compare="", version="2", before_version="1")
    assert told["compare"] == [[ids(told).index(old)], [ids(told).index(new)]]


def test_a_profile_may_be_on_both_sides(shelf):
    shelf.put(hour=1)
    shelf.put(hour=2)
    told = merged(shelf, compare="", from_=str(2 * HOUR))
    assert len(told["profiles"]) == 2
    before, now = told["compare"]
    assert len(before) == 2 and now == before[:1]


def test_a_profile_has_its_place_and_its_file(shelf):
    id = shelf.put(version="1.4", zone="z", process="worker")
    (profile,) = merged(shelf)["profiles"]
    assert profile["title"] == "web, 1.4, z, worker, " + id[:12]
    assert profile["url"] == "/profile?id=" + id
    assert profile["file"] == id + ".pb.gz"
    assert profile["raw"] is None


def test_no_more_than_the_newest_are_merged_and_that_is_told(shelf, monkeypatch):
    monkeypatch.setattr(_selection, "MAX_PROFILES", 2)
    made = [shelf.put(hour=i) for i in range(4)]
    told = merged(shelf)
    assert ids(told) == [made[3], made[2]]
    assert (told["fitting"], told["shown"]) == ([4], [2])


def test_no_more_bytes_than_the_bound_are_merged(shelf, monkeypatch):
    size = len(encoded("main"))
    monkeypatch.setattr(_selection, "MAX_BYTES", 2 * size)
    for _ in range(3):
        shelf.put()
    assert merged(shelf)["shown"] == [2]
    monkeypatch.setattr(_selection, "MAX_BYTES", size - 1)
    assert merged(shelf)["shown"] == [1]


def test_what_is_too_much_for_a_page_is_said(shelf, monkeypatch):
    shelf.put(data=encoded("main", "work"))
    monkeypatch.setattr(_html, "MAX_FRAMES", 1)
    with pytest.raises(_selection.SelectionError, match="too much for a page"):
        merged(shelf)


def test_a_file_that_goes_away_is_left_out(shelf):
    gone, kept = shelf.put(hour=1), shelf.put(hour=2)
    os.unlink(os.path.join(shelf.directory, gone + ".pb.gz"))
    told = merged(shelf, compare="")
    assert ids(told) == [kept]
    assert told["compare"] == [[0], [0]]
    assert (told["fitting"], told["shown"]) == ([2, 2], [1, 1])


def test_profiles_are_decoded_one_at_a_time(shelf):
    """Many are merged; all of them decoded would not fit into memory."""
    for _ in range(3):
        shelf.put()
    alive = []

    class Decoded(dict):
        def __del__(self):
            alive.pop()

    def counting(data):
        alive.append(1)
        assert len(alive) <= 2  # the one before is let go when the next one is there
        return Decoded(decode(data))

    with _store.Store.open_existing(shelf.directory) as store:
        words = {"target": "web", "type": "CPU"}
        told = _selection.merged(store, counting, _selection.selection(words))
    assert len(told["profiles"]) == 3


@pytest.mark.parametrize(
    "words, said",
    [
        ({"type": ""}, "a type must be chosen"),
        ({"type": "CPU", "colour": "red"}, "'colour' is nothing to choose by"),
        ({"type": "CPU", "from": "-1"}, "'-1' is no time"),
        ({"type": "CPU", "to": "1e9"}, "'1e9' is no time"),
        ({"type": "CPU", "to": "9" * 12}, "is no time"),
        ({"type": "CPU", "from": "\u0663"}, "is no time"),
        ({"type": "CPU", "compare": "", "before.to": "x"}, "'x' is no time"),
    ],
)
def test_what_cannot_be_chosen_is_refused(words, said):
    with pytest.raises(_selection.SelectionError, match=said):
        _selection.selection(words)


def test_a_file_is_found_by_its_whole_id(shelf):
    data = encoded("main", "work")
    id = shelf.put(data=data)
    with _store.Store.open_existing(shelf.directory) as store:
        assert _selection.file_of(store, id) == data
        for other in ("", id[:31], id + "\n", id.upper(), "../" + id, "%032x" % 5):
            assert _selection.file_of(store, other) is None
