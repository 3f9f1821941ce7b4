"""Machines with next to nothing: a folder is the whole of what a program sees."""

import contextlib
import os
import shutil
import tempfile

import pytest
import wheels


@contextlib.contextmanager
def root(make):
    """A Root that make(path) has filled."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or not unshare:
        pytest.skip("needs root, and unshare for name spaces")
    # Not pytest's folder: the path of a socket has to be short.
    path = tempfile.mkdtemp(prefix="root-")
    try:
        for name in ("proc", "dev", "tmp"):
            os.mkdir(os.path.join(path, name))
        for name, minor in (("null", 3), ("urandom", 9)):
            device = os.makedev(1, minor)
            os.mknod(os.path.join(path, "dev", name), 0o20666, device)
        make(path)
        yield Root(path, unshare)
    finally:
        shutil.rmtree(path)


class Root:
    """A root folder, in which programs run without network, and see no process but
    their own and no file from outside."""

    def __init__(self, path, unshare):
        self.path = path
        self._command = [
            *(unshare, "--net", "--mount", "--pid", "--fork", "--kill-child"),
            *("--mount-proc", "--root", path, "--wd", "/"),
        ]

    def copy(self, source, target):
        """A folder from outside, to `target` in the root."""
        shutil.copytree(source, self.path + target)

    def run(self, *argv, **environ):
        """Run a command to its good end; what it said, on both ways."""
        return wheels.run([*self._command, *argv], env=self._environ(environ))

    def profile(self, tmp_path, *python, **environ):
        """Profile tests/wheel/busy.py there, started by `python`, with the service
        outside, which has more to work with; they meet at a socket in the root."""
        shutil.copy(os.path.join(wheels.HERE, "busy.py"), self.path)
        with wheels.service(tmp_path, "unix:%s/tmp/s" % self.path) as until:
            said = wheels.run(
                [*self._command, *python, "/busy.py", "unix:/tmp/s"],
                stdin=until,
                env=self._environ(environ),
            )
        assert said == ""

    @staticmethod
    def _environ(more):
        return dict({"HOME": "/", "PATH": "/usr/local/bin:/usr/bin:/bin"}, **more)
