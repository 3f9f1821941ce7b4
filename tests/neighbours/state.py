"""What a process has only one of, and each of the program's threads: look() shows all
of it as data that can be compared and sent as JSON."""

import atexit
import builtins
import ctypes
import faulthandler
import fcntl
import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings

libc = ctypes.CDLL(None, use_errno=True)
libc.setlocale.restype = ctypes.c_char_p
libc.lrand48.restype = ctypes.c_long
libc.dlsym.restype = ctypes.c_void_p
libc.dlsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

# 32 and 33 are libc's own, which it sets up with the first thread.
LIBC_OWN = 3 << 31

# Rows of /proc/self/status that tell of a setting and not of use.
ROWS = (
    *("Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm"),
    *("CapEff", "CapBnd", "CapAmb", "Cpus_allowed", "Mems_allowed", "VmLck"),
)
FILES = ("comm", "coredump_filter", "oom_score_adj", "timers", "limits")
# prctl's questions that answer with a number.
PRCTL = {"dumpable": 3, "keepcaps": 7, "timerslack": 30, "no_new_privs": 39, "thp": 42}
# What a library that is loaded might put in the way of the program's own.
SYMBOLS = (
    *("malloc", "free", "realloc", "_Znwm", "_ZdlPv", "__cxa_throw", "fork", "socket"),
    *("SSL_new", "OPENSSL_init_crypto", "grpc_init", "gpr_malloc", "ares_init"),
    *("deflate", "protobuf_c_message_pack", "json_object_get", "upb_Arena_Init"),
    *("cprof_transport_table", "PyInit__native"),
)


def seed():
    libc.srand(7)
    libc.srand48(7)


def draw():
    return libc.rand(), libc.lrand48()


# libc's generators can only be looked at by drawing from them: each look draws once,
# and gets the next number of their sequence if nobody else drew or seeded.
seed()
sequence = [draw() for _ in range(100)]
seed()


class Action(ctypes.Structure):
    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64),
        ("of_signals_that_do_not_exist", ctypes.c_uint64 * 15),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


class Allocator(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in ("ctx", "malloc", "calloc", "re", "free")]


def allocator(domain):
    found = Allocator()
    ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(found))
    return [getattr(found, name) for name, _ in Allocator._fields_]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as e:
        return str(e)


def rows(path):
    return dict(line.split(":", 1) for line in read(path).splitlines())


def dispositions():
    """Handler, mask and flags of each signal that libc tells of."""
    found = {}
    for number in range(1, 65):
        action = Action()
        if not libc.sigaction(number, None, ctypes.byref(action)):
            found[number] = (action.handler, action.mask, action.flags)
    return found


def signal_stack():
    stack = ctypes.create_string_buffer(64)
    libc.sigaltstack(None, stack)
    return stack.raw.hex()


def wakeup_fd():
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    return fd


def native_environment():
    """What C sees, in its order; /proc/self/environ is how it was at the start."""
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    found = []
    while variables[len(found)] is not None:
        found.append(variables[len(found)].decode("utf-8", "replace"))
    return found, read("/proc/self/environ")


def new_thread():
    """What a thread that the program starts now is born with."""
    born = []

    def tell():
        born.append(sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))
        born.append(rows("/proc/thread-self/status")["Name"])
        born.append(libc.fegetround())

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    return born


def of_threads(tids):
    """Mask, nice value, policy and name of threads of the program."""
    found = {}
    for tid in tids:
        status = rows("/proc/self/task/%d/status" % tid)
        found[tid] = (
            *(status["SigBlk"], status["Name"], status["Cpus_allowed"]),
            *(os.getpriority(os.PRIO_PROCESS, tid), os.sched_getscheduler(tid)),
        )
    return found


def loggers():
    """Of all that are not ours, and of logging itself."""
    root = logging.getLogger()
    found = {"": root}
    found.update(
        (name, logger)
        for name, logger in root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
        and not name.startswith("googlecloudprofiler")
    )
    state = {
        name: [
            *(logger.level, logger.disabled, logger.propagate),
            *(list(map(str, logger.handlers)), list(map(str, logger.filters))),
        ]
        for name, logger in found.items()
    }
    module = [
        *(root.manager.disable, logging.raiseExceptions, str(logging.lastResort)),
        *(str(logging.getLoggerClass()), str(logging.getLogRecordFactory())),
        *(logging.logThreads, logging.logProcesses),
        [logging.getLevelName(n) for n in range(0, 60, 10)],
    ]
    return state, module


def descriptors():
    """Target, flags, and whether it ends with exec, of each that is open."""
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            found[fd] = (
                os.readlink("/proc/self/fd/%d" % fd),
                fcntl.fcntl(fd, fcntl.F_GETFL),
                bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
            )
        except OSError:
            pass  # the one that listdir() had
    return found


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def look(tids):
    """`tids` are the program's own threads."""
    status = rows("/proc/self/status")
    logger_state, logging_state = loggers()
    return {
        "caught signals": int(status["SigCgt"], 16) & ~LIBC_OWN,
        "ignored signals": int(status["SigIgn"], 16) & ~LIBC_OWN,
        "dispositions": dispositions(),
        "handlers": [str(signal.getsignal(n)) for n in range(1, 65)],
        "signal stack": signal_stack(),
        "wakeup fd": wakeup_fd(),
        "timers": [signal.getitimer(n)[1] for n in range(3)],
        "masks": of_threads(tids),
        "a new thread": new_thread(),
        "stack size": threading.stack_size(),
        "status": {name: status[name] for name in ROWS if name in status},
        "files": {name: read("/proc/self/" + name) for name in FILES},
        "prctl": {n: libc.prctl(v, 0, 0, 0, 0) for n, v in PRCTL.items()},
        "personality": libc.personality(0xFFFFFFFF),
        "umask": umask(),
        "directory": os.getcwd(),
        "session": [os.getsid(0), os.getpgrp()],
        "children": read("/proc/thread-self/children"),
        "locale": [
            libc.setlocale(locale.LC_ALL, None).decode(),
            locale.setlocale(locale.LC_ALL),
        ],
        "time zone": time.tzname,
        "environment": dict(os.environ),
        "native environment": native_environment(),
        "rounding": [libc.fegetround(), libc.fegetexcept()],
        "random": hash(random.getstate()),
        "sequences are undisturbed": draw() == sequence.pop(0),
        "allocators": [allocator(n) for n in range(3)],
        "symbols": {name: libc.dlsym(None, name.encode()) for name in SYMBOLS},
        "loggers": logger_state,
        "logging": logging_state,
        "threads": sorted(t.name for t in threading.enumerate()),
        "hooks": [
            str(hook)
            for hook in (
                *(sys.excepthook, sys.displayhook, sys.unraisablehook),
                *(threading.excepthook, sys.gettrace(), sys.getprofile()),
                *(sys.getswitchinterval(), sys.getrecursionlimit()),
                *(sys.getdlopenflags(), sys.get_asyncgen_hooks()),
                *(builtins.__import__, builtins.print, builtins.open),
                *(sys.stdin, sys.stdout, sys.stderr),
            )
        ],
        "import": [list(sys.path), *map(str, (sys.meta_path, sys.path_hooks))],
        "warnings": list(map(str, warnings.filters)),
        "fault handler": faulthandler.is_enabled(),
        "collector": [gc.isenabled(), gc.get_threshold(), list(map(str, gc.callbacks))],
        "sockets": socket.getdefaulttimeout(),
    }


exit_callbacks = []


def watch_exit():
    """From now on exit_callbacks has the module of each that atexit gets."""
    register = atexit.register

    def watched(callback, *args, **more):
        exit_callbacks.append(callback.__module__)
        return register(callback, *args, **more)

    atexit.register = watched
