"""Which transport the package under test has: marks for tests that want one of them."""

import os
import subprocess

import pytest
from program import PYTHON

_TELL = """
from googlecloudprofiler import _native, _options
print(_native.transport(_options.transport_path())[1])
"""

# Wheels always have it, and are not installed here.
_alone = (
    bool(os.environ.get("CPROF_WHEELS"))
    or subprocess.check_output([PYTHON, "-c", _TELL]) == b"True\n"
)

bundled = pytest.mark.skipif(not _alone, reason="needs the bundled transport")
systems = pytest.mark.skipif(_alone, reason="needs the system's transport")
