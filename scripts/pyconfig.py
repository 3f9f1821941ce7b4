"""Debian's pyconfig.h, for a compiler that does not look into /usr/include."""

import glob
import os
import shutil


def spread(folder, machine, into):
    """Let what `folder`, with a Python.h, includes be found in `into`.

    Debian keeps pyconfig.h in a folder for each machine, next to the headers of the
    one C library that /usr/include has. `machine` is x86_64 or aarch64; where only
    another's is there, that stands in: they differ in nothing that we use.
    """
    name = os.path.basename(folder)
    own = machine + "-linux-gnu"
    there = glob.glob(os.path.join(os.path.dirname(folder), "*-linux-*", name))
    there.sort(key=lambda path: own not in path)
    if there:
        shutil.copytree(there[0], os.path.join(into, own, name))
