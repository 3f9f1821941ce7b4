"""Continuous profiler agent: CPU and wall time of every thread of this process.

    import googlecloudprofiler
    googlecloudprofiler.start(service="my-service", service_version="1.0")

One native thread asks the Profiler service what to collect, samples the program
from outside (no signal, no hook, without the GIL), and uploads the profiles.
Messages go to the loggers `googlecloudprofiler` and `googlecloudprofiler.client`.
"""

from googlecloudprofiler import __version__ as version
from googlecloudprofiler._agent import start, stop

__all__ = ["start", "stop", "version"]
