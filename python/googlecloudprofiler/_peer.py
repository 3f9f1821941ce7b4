"""Which user of this host is at the other end of a connection."""

import socket
import struct
import sys

_TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}


def user(connection):
    """The uid that has the other socket of a TCP connection within this host; None
    where the kernel does not tell, as of one from elsewhere."""
    family = connection.family
    theirs, ours = connection.getpeername(), connection.getsockname()
    ends = _as_told(family, theirs), _as_told(family, ours)
    try:
        with open(_TABLES[family]) as table:
            next(table, None)  # the heading
            for line in table:
                # number, local and remote address, state, three more, uid
                words = line.split()
                if tuple(words[1:3]) == ends:
                    return int(words[7])
    except (KeyError, OSError, IndexError, ValueError):
        pass
    return None


def _as_told(family, address):
    """An address as the kernel writes it: in words of 32 bits of this machine."""
    packed = socket.inet_pton(family, address[0])
    order = "<" if sys.byteorder == "little" else ">"
    words = struct.unpack("%s%dI" % (order, len(packed) // 4), packed)
    return "".join("%08X" % word for word in words) + ":%04X" % address[1]
