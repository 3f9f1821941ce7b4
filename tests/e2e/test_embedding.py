"""An embedded interpreter that ends and starts again, each time amid a window:
nothing crashes, and each of its lives is profiled."""

import os
import shlex
import shutil
import subprocess
import sysconfig

import pytest
from fake_service import assign
from profiles import Read
from program import clean_environment

PROGRAM = """
#include <Python.h>

int main(int argc, char **argv)
{
	for (int life = 0; life < 3; life++) {
		Py_Initialize();
		if (PyRun_SimpleString(argv[argc - 1]))
			return 1;
		if (Py_FinalizeEx() < 0)
			return 2;
	}
	return 0;
}
"""

# The first window ends, and the second does not.
LIFE = """
import sys, time
sys.path.insert(0, %r)
import googlecloudprofiler

def embedded():
    end = time.monotonic() + 2
    while time.monotonic() < end:
        pass

googlecloudprofiler.start(service="embedded")
embedded()
"""


def embedding_flags():
    config = sysconfig.get_config_vars()
    shared = os.path.join(config["LIBDIR"], config.get("LDLIBRARY") or "")
    if not config.get("Py_ENABLE_SHARED") or not os.path.exists(shared):
        pytest.skip("this Python has no shared library to embed")
    return [
        "-I" + sysconfig.get_path("include"),
        "-L" + config["LIBDIR"],
        "-Wl,-rpath," + config["LIBDIR"],
        "-lpython" + config["LDVERSION"],
        *shlex.split(config.get("LIBS", "")),
    ]


def test_an_interpreter_that_ends_and_starts_again(service, tmp_path):
    import googlecloudprofiler

    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not shutil.which(compiler[0]):
        pytest.skip("there is no C compiler")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        pytest.skip("there are no headers of this Python")
    package = os.path.dirname(os.path.abspath(googlecloudprofiler.__file__))
    (tmp_path / "googlecloudprofiler").symlink_to(package)
    source, binary = tmp_path / "embed.c", tmp_path / "embed"
    source.write_text(PROGRAM)
    command = [*compiler, str(source), "-o", str(binary), *embedding_flags()]
    subprocess.run(command, check=True)
    for _ in range(3):
        service.on_create.extend([assign("WALL", 0.5), assign("WALL", 60)])
    done = subprocess.run(
        [str(binary), LIFE % str(tmp_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=60,
        env=dict(
            clean_environment(tmp_path),
            PYTHONHOME=sysconfig.get_config_var("prefix"),
            GOOGLE_CLOUD_PROFILER_ENDPOINT=service.endpoint,
        ),
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    profiles = service.wait_updated(3)
    assert len(profiles) == 3
    assert len(service.created) == 6
    for call in profiles:
        read = Read(call.request.profile.profile_bytes)
        seen = read.total() * read.share_with(lambda f: f[0] == "embedded")
        assert seen >= 0.9 * read.raw.duration_nanos
