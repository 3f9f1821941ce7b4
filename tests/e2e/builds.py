"""Which transport the package under test has: marks for tests that want one of them."""

import pytest
from googlecloudprofiler import _native, _options

_alone = _native.transport(_options.transport_path())[1]

bundled = pytest.mark.skipif(not _alone, reason="needs the bundled transport")
systems = pytest.mark.skipif(_alone, reason="needs the system's transport")
