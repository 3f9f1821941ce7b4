"""What of a store is looked at: what there is to choose from, and the profiles that fit
a choice, merged for the page and bounded."""

import collections
import re

from googlecloudprofiler import _html, _store

# One answer stays within seconds and some hundred MB, whatever is stored.
MAX_LISTED = 100000  # rows that choices are made of, the newest
MAX_PROFILES = 100  # of each side of a comparison
MAX_BYTES = 64 << 20  # of their files

_SECONDS = re.compile(r"[0-9]{1,11}")
_SIDE = ("version", "zone", "from", "to")
BEFORE = "before."  # begins what is asked of the other side of a comparison
COMPARE = "compare"


class SelectionError(Exception):
    """Nothing can be shown of what was asked for; the message is for a person."""


Side = collections.namedtuple("Side", "version zone after before")
Side.__doc__ = """Which profiles of a service and type: None is any version or zone, ""
those without one. Received from `after` to `before`, in seconds since 1970."""

Selection = collections.namedtuple("Selection", "target type now before")
Selection.__doc__ = """`now` is the Side that is shown, `before` None or what it is
compared with."""


def selection(words):
    """The Selection that a dict of words asks for; SelectionError where it is none."""
    known = {"target", "type", COMPARE, *_SIDE, *(BEFORE + key for key in _SIDE)}
    for word in words:
        if word not in known:
            raise SelectionError("'%s' is nothing to choose by" % word)
    if not words.get("type"):
        raise SelectionError("a type must be chosen")
    return Selection(
        words.get("target", ""),
        words["type"],
        _side(words, ""),
        _side(words, BEFORE) if COMPARE in words else None,
    )


def _side(words, begin):
    times = []
    for key, usual in (("from", 0), ("to", 10**11)):
        text = words.get(begin + key)
        if text is not None and not _SECONDS.fullmatch(text):
            raise SelectionError("'%s' is no time in seconds since 1970" % text)
        times.append(usual if text is None else int(text))
    return Side(words.get(begin + "version"), words.get(begin + "zone"), *times)


def choices(store):
    """One dict for each service, version, zone and type that is stored, the one with
    the newest profile first; times in seconds since 1970."""
    found = collections.OrderedDict()
    for row in store.find(limit=MAX_LISTED):
        key = (row.target, *_place(row), row.type)
        received = row.received_unix_ns // 10**9
        if key not in found:
            found[key] = dict(
                zip(("target", "version", "zone", "type"), key), count=0, last=received
            )
        found[key]["count"] += 1
        found[key]["first"] = received
    return list(found.values())


def merged(store, decode, selection):
    """What the page is told of a Selection: _html.content(), and of each profile its
    `id` and the `url` of its file.

    `fitting` and `shown` say how many profiles fit and how many of those, the newest,
    are there, for each side. Raises SelectionError for what is too much for a page.
    """
    rows = store.find(type=selection.type, target=selection.target)
    sides = [side for side in (selection.before, selection.now) if side is not None]
    fitting = [[row for row in rows if _fits(row, side)] for side in sides]
    bounded = [_bounded(side) for side in fitting]
    wanted = collections.OrderedDict((r.id, r) for side in bounded for r in side)
    there = collections.OrderedDict()  # an id's number in what is told

    def sources():
        # One at a time: decoded, a profile is many times its size.
        for row in wanted.values():
            source = _source(store, decode, row)
            if source is not None:
                there[row.id] = len(there)
                yield source

    try:
        told = _html.content(sources())
    except _html.HtmlError as e:
        raise SelectionError(str(e)) from e
    for profile, id in zip(told["profiles"], there):
        profile.update(id=id, url="/profile?id=" + id)
    numbers = [[there[r.id] for r in side if r.id in there] for side in bounded]
    told["compare"] = numbers if selection.before is not None else None
    told["fitting"] = [len(side) for side in fitting]
    told["shown"] = [len(side) for side in numbers]
    return told


def file_of(store, id):
    """The bytes of one profile by its whole id, or None."""
    if not _store.is_id(id):
        return None
    rows = store.find(prefix=id, limit=1)
    return store.read(rows[0]) if rows else None


def _place(row):
    return row.labels.get("version", ""), row.labels.get("zone", "")


def _fits(row, side):
    version, zone = _place(row)
    return (
        side.version in (None, version)
        and side.zone in (None, zone)
        and side.after * 10**9 <= row.received_unix_ns < side.before * 10**9
    )


def _bounded(rows):
    """The newest within the bounds, but one at least."""
    kept, size = [], 0
    for row in rows[:MAX_PROFILES]:
        size += row.size
        if kept and size > MAX_BYTES:
            break
        kept.append(row)
    return kept


def _source(store, decode, row):
    """None where the file went away: the oldest are deleted while one looks."""
    try:
        profile = decode(store.read(row))
    except (_store.StoreError, ValueError, RuntimeError):
        return None
    version, zone = _place(row)
    parts = [row.target or "unknown", version, zone, row.labels.get("process")]
    title = ", ".join([part for part in parts if part] + [row.id[:12]])
    return _html.Source(title, _html.kind_of(profile), row.file, None, profile)
