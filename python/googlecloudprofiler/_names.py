"""What the program calls its threads. Before 3.14 the kernel is not told."""

import threading


def of_threads():
    """A list of (the kernel's id, name in UTF-8), of threads that threading knows.

    Reads attributes and no properties, which a program may have replaced: nothing of
    it must run here. Before 3.8 nobody knows the ids: an empty list.
    """
    found = []
    for thread in list(threading._active.values()):
        attributes = getattr(thread, "__dict__", {})
        tid, name = attributes.get("_native_id"), attributes.get("_name")
        if isinstance(tid, int) and isinstance(name, str):
            found.append((tid, name[:64].encode("utf-8", "replace")))
    return found
