import os
import subprocess
import sys

import pytest
from fixtures import key_file, launch, service
from metadata_server import MetadataServer
from secure import Authority, SecureService
from watched import Watched

__all__ = ["key_file", "launch", "service"]


@pytest.fixture
def put(tmp_path):
    """put(name, text) puts a file in its place at once, for its owner; its path. One
    that is written in its place is empty for a moment, which the agent may see."""

    def run(name, text):
        path = str(tmp_path / name)
        with open(path + "-new", "w", encoding="utf-8") as file:
            os.chmod(path + "-new", 0o600)
            file.write(text)
        os.replace(path + "-new", path)
        return path

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority that nobody else trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority):
    """The service, with TLS, at https://localhost:port."""
    with SecureService(authority) as s:
        yield s


@pytest.fixture
def metadata():
    with MetadataServer() as server:
        yield server


@pytest.fixture
def watch(launch, authority, secure, tmp_path):
    """watch(start={}, patch={}, before="", **environ) runs a program with the agent,
    on a machine that is none of Google's, and is a Watched.

    `start` is what start() gets, `patch` maps names such as "_platform.DMI_PATH" to
    what they shall be. `before` is Python that runs just before start() and may
    change the dict `options`. A variable that is None is not set.
    """

    def run(start=None, patch=None, before="", **environ):
        environ.setdefault("GOOGLE_CLOUD_PROFILER_ENDPOINT", secure.endpoint)
        environ.setdefault("SSL_CERT_FILE", authority.ca)
        # An endless wait for a DNS that is not there is nothing to test.
        environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
        patch = dict({"_platform.DMI_PATH": str(tmp_path / "no-dmi")}, **patch or {})
        environ = {k: v for k, v in environ.items() if v is not None}
        return Watched(launch, start or {}, patch, before, environ)

    return run


class Hosts:
    """A file in place of /etc/hosts, for one program only: `before` is what that has
    to run. The machine's own stays as it is."""

    def __init__(self, path):
        self._path = path
        self.names({})
        self.before = MOUNT % {"path": str(path)}

    def names(self, address_of):
        """Have these names and no others, but for localhost."""
        rows = {"localhost": "127.0.0.1", **address_of}
        self._path.write_text("".join("%s %s\n" % (a, n) for n, a in rows.items()))


# In a mount namespace of its own; private, so that nothing gets out.
MOUNT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
new_mounts, bind, private = 0x20000, 0x1000, 0x44000
if (
    libc.unshare(new_mounts)
    or libc.mount(b"none", b"/", None, ctypes.c_ulong(private), None)
    or libc.mount(b"%(path)s", b"/etc/hosts", None, ctypes.c_ulong(bind), None)
):
    raise OSError(ctypes.get_errno(), "cannot mount")
"""


@pytest.fixture
def hosts(tmp_path):
    made = Hosts(tmp_path / "hosts")
    done = subprocess.run(
        [sys.executable, "-c", made.before],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        pytest.skip("mounts nothing here: " + done.stdout.splitlines()[-1])
    return made
