"""`import`: pprof files of whatever tool, into a store."""

import collections
import gzip
import hashlib
import os
import re
import sys

from googlecloudprofiler import _config, _serve, _store, _top, _types

MAX_BYTES = 256 << 20  # what the reader takes unpacked

STDIN = "-"

_GZIP = b"\x1f\x8b"
_ENDINGS = re.compile(r"(\.(gz|pb|pprof|prof|profile))+$", re.IGNORECASE)

Given = collections.namedtuple("Given", "service labels type")
Given.__doc__ = """What the files do not say: `service` and `type` may be None, which is
to tell them by the file's name and by what it counts."""


class ImportFailure(Exception):
    """A file cannot be imported; one line for a person."""


def import_files(directory, files, given, tell):
    """Store each file that can be; returns the exit status.

    tell: takes one line about each. What is wrong with the others is said on standard
    error. Raises StoreError where the store itself cannot be used.
    """
    decode = _serve.native().decode_profile
    failed = 0
    with _store.Store(directory, decode, warn=_serve.complain) as store:
        for file in files:
            try:
                tell(_import(store, decode, file, given))
            except ImportFailure as e:
                words = "cannot import %s: %s" % (_name_of(file), e)
                _serve.complain(_top.printable(words))
                failed += 1
    return 1 if failed else 0


def _import(store, decode, file, given):
    data, read_unix_ns = _read(file)
    try:
        profile = decode(data)
    except (ValueError, RuntimeError) as e:
        raise ImportFailure(e) from e
    kind = given.type or _types.of_profile(profile)
    if kind is None:
        raise ImportFailure(
            "what it counts (%s) tells no type: give --type"
            % ", ".join("/".join(value) for value in profile["value_types"])
        )
    service = given.service or _service_of(file)
    # The same bytes are the same profile, whatever the file is called.
    profile_id = hashlib.sha256(data).hexdigest()[:32]
    if store.has(profile_id):
        return "%s is already stored as %s" % (_name_of(file), profile_id)
    path = store.add(
        profile_id,
        "projects/-/profiles/" + profile_id,
        "",
        service,
        kind,
        given.labels,
        max(0, profile["duration_ns"]),
        data if data.startswith(_GZIP) else gzip.compress(data),
        profile["time_ns"] if profile["time_ns"] > 0 else read_unix_ns,
    )
    return "stored a %s profile of '%s': %s" % (kind, service, path)


def _read(file):
    """The bytes, and when they were written; 0 where nobody knows."""
    try:
        if file == STDIN:
            data, written_ns = sys.stdin.buffer.read(MAX_BYTES + 1), 0
        else:
            with open(file, "rb") as stream:
                data = stream.read(MAX_BYTES + 1)
                written_ns = int(os.fstat(stream.fileno()).st_mtime * 1e9)
    except OSError as e:
        raise ImportFailure(e.strerror) from e
    if len(data) > MAX_BYTES:
        raise ImportFailure("it has more than %d MiB" % (MAX_BYTES >> 20))
    if not data:
        raise ImportFailure("it is empty")
    return data, written_ns


def _service_of(file):
    if file == STDIN:
        return "stdin"
    return _config.service_name(_ENDINGS.sub("", os.path.basename(file)), "unknown")


def _name_of(file):
    return "standard input" if file == STDIN else "'%s'" % file
