"""System calls that are refused from now on, as a container's sandbox does it; for
programs that tests run, on x86_64."""

import ctypes
import errno
import struct

NUMBERS = {
    "sched_yield": 24,
    "sendfile": 40,
    "ptrace": 101,
    "sched_setscheduler": 144,
    "sched_setaffinity": 203,
    "sched_getaffinity": 204,
    "clock_nanosleep": 230,
    "unshare": 272,
    "eventfd2": 290,
    "pwritev": 296,
    "perf_event_open": 298,
    "getcpu": 309,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "getrandom": 318,
    "memfd_create": 319,
    "close_range": 436,
}
_LOAD_NUMBER = 0x20, 0, 0, 0
_ALLOW = 0x06, 0, 0, 0x7FFF0000
_REFUSE = 0x00050000
_SECCOMP, _FILTER, _ALL_THREADS = 317, 1, 1


def refuse(*names, error=errno.EPERM, all_threads=False):
    """Each of these fails with `error` in this thread and all that it makes, or in all
    threads that there are."""
    rules = [_LOAD_NUMBER]
    for name in names:
        rules += [(0x15, 0, 1, NUMBERS[name]), (0x06, 0, 0, _REFUSE | error)]
    code = b"".join(struct.pack("HBBI", *rule) for rule in [*rules, _ALLOW])
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _ALL_THREADS if all_threads else 0
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(_SECCOMP, _FILTER, flags, program):
        raise OSError(ctypes.get_errno(), "no sandbox")
