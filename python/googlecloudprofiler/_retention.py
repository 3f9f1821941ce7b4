"""How much a store keeps: a number of profiles, of bytes, and of days."""

import collections
import re

Limits = collections.namedtuple("Limits", "profiles bytes age_s")
Limits.__doc__ = """The oldest profiles are deleted beyond `profiles`, beyond `bytes` of
their files together, and `age_s` seconds after they were received. All are 1 or more;
the newest profile stays however large it is."""

DEFAULT = Limits(10000, 1 << 30, 30 * 86400)
MAX = Limits(10**9, 1 << 60, 100 * 365 * 86400)

_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_bytes(text):
    """500M or 1.5G as bytes; K, M, G and T are powers of 1024.

    Raises:
        ValueError: It is no such size, or not within 1 and MAX.bytes.
    """
    return _parse(text, "(k|m|g|t|)(?:i?b)?", _BYTES, MAX.bytes, "size", "10G")


def parse_age(text):
    """12h or 30d as seconds: s, m, h, d or w.

    Raises:
        ValueError: It is no such time, or not within 1 s and MAX.age_s.
    """
    return _parse(text, "(s|m|h|d|w)", _SECONDS, MAX.age_s, "time", "30d")


def _parse(text, units, factors, most, what, example):
    form = r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?%s\Z" % units
    match = re.match(form, text, re.IGNORECASE)
    if not match:
        raise ValueError("'%s' is not a %s such as %s" % (text, what, example))
    value = int(float(match.group(1)) * factors[match.group(2).lower()])
    if not 1 <= value <= most:
        raise ValueError("'%s' is too %s" % (text, "large" if value else "small"))
    return value


def surplus(rows, count, size, limits, now_ns):
    """The first of `rows` that exceed the limits.

    rows: with size and received_unix_ns, the oldest first, as they come. count, size:
    how many there are, and the sum of their sizes.
    """
    found = []
    for row in rows:
        too_old = now_ns - row.received_unix_ns > limits.age_s * 10**9
        too_much = count > 1 and size > limits.bytes
        if not (too_old or too_much or count > limits.profiles):
            break
        found.append(row)
        count -= 1
        size -= row.size
    return found
