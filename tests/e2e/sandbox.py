"""System calls that are refused from now on, as a container's sandbox does it; for
programs that tests run, on x86_64."""

import ctypes
import errno
import struct

NUMBERS = {"unshare": 272, "memfd_create": 319, "close_range": 436}
_LOAD_NUMBER = 0x20, 0, 0, 0
_ALLOW = 0x06, 0, 0, 0x7FFF0000
_REFUSE = 0x06, 0, 0, 0x00050000 | errno.EPERM


def refuse(*names):
    """Each of these fails with EPERM in this thread and all that it makes."""
    rules = [_LOAD_NUMBER]
    for name in names:
        rules += [(0x15, 0, 1, NUMBERS[name]), _REFUSE]
    code = b"".join(struct.pack("HBBI", *rule) for rule in [*rules, _ALLOW])
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no sandbox")
