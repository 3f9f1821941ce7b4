"""Profilers that live in the program, by name. Each has begin(kind, hz, seconds, path)
and end(): in between it takes stacks, which are in files that begin with `path` (those
of Pyroscope go to $PUSH_URL) after the end."""

import os
import threading
import time

# For a profiler to have begun.
MARGIN_S = 0.3
# What a program may take longer than it should, for a window that is told its length.
DELAY_S = 0.7
# What a program runs longer than an agent's window, and how long after the profiler was
# told to begin that is: a thousand threads have come by then.
AROUND_S = 3
BEFORE_S = MARGIN_S + 1.5


class Nothing:
    def begin(self, kind, hz, seconds, path):
        pass

    def end(self):
        pass


class Window:
    """A profiler that is asked for a window of so many seconds, on its own thread."""

    def begin(self, kind, hz, seconds, path):
        collect = self.collector(kind, hz)

        def work():
            data = collect(int((MARGIN_S + seconds + DELAY_S) * 1e9))
            with open(path + ".pprof", "wb") as file:
                file.write(data)

        self._thread = threading.Thread(target=work)
        self._thread.start()
        time.sleep(MARGIN_S)

    def end(self):
        self._thread.join()


class Ours(Window):
    budget_ppm = 0  # none

    def collector(self, kind, hz):
        from googlecloudprofiler import _native

        return lambda duration_ns: _native.collect(
            kind, duration_ns, int(1e9 / hz), budget_ppm=self.budget_ppm)


class OursWithinBudget(Ours):
    """As an agent does it: it leaves out ticks to use half a per cent of a core. The
    program begins before the window and goes on after it."""

    budget_ppm = 5000

    def collector(self, kind, hz):
        collect = super().collector(kind, hz)

        def later(duration_ns):
            time.sleep(BEFORE_S)
            return collect(duration_ns - int((MARGIN_S + DELAY_S + AROUND_S) * 1e9))

        return later


class Original(Window):
    """Google's own: CPU only, as its wall time is of the main thread only."""

    def collector(self, kind, hz):
        from googlecloudprofiler import cpu_profiler

        return cpu_profiler.CPUProfiler(int(1000 / hz)).profile


class Datadog:
    def begin(self, kind, hz, seconds, path):
        os.environ.update(
            DD_PROFILING_OUTPUT_PPROF=path,
            DD_PROFILING_MEMORY_ENABLED="false",
            DD_PROFILING_LOCK_ENABLED="false",
            DD_PROFILING_UPLOAD_INTERVAL="3600",
            DD_TRACE_ENABLED="false",
            DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
            DD_REMOTE_CONFIGURATION_ENABLED="false",
        )
        from ddtrace.profiling import Profiler

        self._profiler = Profiler()
        self._profiler.start()
        time.sleep(MARGIN_S)

    def end(self):
        self._profiler.stop(flush=True)


class Pyroscope:
    engine = "PySpy"

    def begin(self, kind, hz, seconds, path):
        import pyroscope

        self._module = pyroscope
        if self.engine == "Stack":
            pyroscope.configure_experimental_stack_profiler(
                cpu_timer_interval_ms=int(1000 / hz))
        pyroscope.configure(
            application_name="bench",
            server_address=os.environ["PUSH_URL"],
            sample_rate=hz,
            oncpu=kind == "CPU",
            gil_only=False,
            cpu_implementation=getattr(pyroscope.ProfilerImplementation, self.engine),
        )
        time.sleep(MARGIN_S)

    def end(self):
        self._module.shutdown()


class PyroscopeStack(Pyroscope):
    """Its second engine, which is Datadog's sampler with a timer for each thread."""

    engine = "Stack"


PROFILERS = {
    "nothing": Nothing,
    "ours": Ours,
    "ours within its budget": OursWithinBudget,
    "original": Original,
    "ddtrace": Datadog,
    "pyroscope": Pyroscope,
    "pyroscope-stack": PyroscopeStack,
}
