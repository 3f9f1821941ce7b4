"""start() and stop(): from arguments to a running native agent."""

import atexit
import importlib.machinery
import logging
import os
import sys
import threading

from googlecloudprofiler import (
    _config,
    _greenlets,
    _names,
    _options,
    _selftest,
    _tokens,
)
from googlecloudprofiler.__version__ import __version__

_logger = logging.getLogger("googlecloudprofiler")
_client_logger = logging.getLogger("googlecloudprofiler.client")

# verbose=0 to 3, as in the original agent; more is as 3.
_LEVELS = [logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG]

_SECOND_CALL = (
    "googlecloudprofiler.start() called again after it was previously called. This "
    "function should only be called once. This call is ignored."
)

TOKEN_IS_IGNORED = (
    "GOOGLE_CLOUD_PROFILER_TOKEN_FILE is ignored: it is for a service of your own, "
    "which GOOGLE_CLOUD_PROFILER_ENDPOINT names, and is never sent to Google"
)


class _State:
    """What start() and stop() share in the process `pid`; `lock` protects all of it."""

    lock = threading.RLock()
    pid = os.getpid()
    native = None  # the module, once something was started with it
    started = False  # by a call of start() in this process
    source = None  # of tokens, where start() was given credentials
    tokens = None  # the Refresher that asks it
    exit_hook = False


def _lock():
    """The lock. A forked child has another one: its parent's may be held by a thread
    that is not here."""
    if _State.pid != os.getpid():
        _State.pid = os.getpid()
        _State.lock = threading.RLock()
        _State.started = False
        _State.tokens = None
    return _State.lock


def start(
    service=None,
    service_version=None,
    project_id=None,
    service_account_json_file=None,
    verbose=0,
    disable_cpu_profiling=False,
    disable_wall_profiling=False,
    period_ms=10,
    discovery_service_url=None,
    *,
    api_endpoint=None,
    zone=None,
    instance=None,
    credentials=None,
    wall_threads="all"
):
    """Start profiling this process. Returns at once; call it from any thread.

    Where the system lacks what profiling needs (memory, threads, descriptors, system
    calls), an ERROR says what, and the program goes on without.

    A second call is ignored with a warning. In a forked child, which is profiled
    without a call if its parent was, the first one is ignored without a word. Where the
    environment variable GOOGLE_CLOUD_PROFILER_ENABLED is 0, false, no or off, nothing
    happens.

    Args:
        service: Name of the service, which profiles are grouped by. Must match
            ^[a-z0-9]([-a-z0-9_.]{0,253}[a-z0-9])?$. Default: GAE_SERVICE, K_SERVICE.
        service_version: Version of the service. Default: GAE_VERSION, K_REVISION.
        project_id: Google Cloud project to send to. Default: GOOGLE_CLOUD_PROJECT,
            then the project of the credentials, then the metadata server's.
        service_account_json_file: Path of a key file. Default: `credentials`, then
            Application Default Credentials: the file that
            GOOGLE_APPLICATION_CREDENTIALS names, the one that gcloud leaves, the
            metadata server of Google's platforms.
        verbose: What the logger `googlecloudprofiler` lets through: 0 errors,
            1 warnings, 2 info, 3 and more debug messages.
        disable_cpu_profiling: Do not offer CPU profiles.
        disable_wall_profiling: Do not offer wall time profiles.
        period_ms: Milliseconds between two samples, 1 to 1000.
        discovery_service_url: Ignored with a warning: there is no discovery over
            gRPC. Use api_endpoint.
        api_endpoint: Where the Profiler service is: host:port or https://host:port;
            http://host:port and unix:/path on loopback only, in plaintext and
            without credentials. Default: GOOGLE_CLOUD_PROFILER_ENDPOINT, then
            Google's. A service of one's own that wants a token gets that in the file
            which GOOGLE_CLOUD_PROFILER_TOKEN_FILE names, and no other credentials.
        zone: Label `zone` of the deployment. Default: the metadata server's.
        instance: Label `instance` of each profile. Default: the metadata server's.
        credentials: An object of google.auth, such as google.auth.default()[0], that
            gives the tokens.
        wall_threads: "all", or "main" for wall profiles of the main thread only, as
            the original agent made them.

    Raises:
        ValueError: A parameter is wrong, or the project, the service or the
            credentials cannot be found and nothing hints at a metadata server.
        NotImplementedError: This operating system or this Python is not supported;
            the message names it.
    """
    with _lock():
        if _State.started:
            _logger.warning(_SECOND_CALL)
            return
        if not _config.is_enabled():
            return
        if not sys.platform.startswith("linux"):
            raise NotImplementedError("%s OS is not supported." % sys.platform)
        _logger.setLevel(_LEVELS[min(verbose, len(_LEVELS) - 1)])
        try:
            native = _load_native()
            if native.running():  # its parent was profiled, and so is this process
                _State.started = True
                return
            options = _options.resolve(
                native,
                service,
                service_version,
                project_id,
                service_account_json_file,
                disable_cpu_profiling,
                disable_wall_profiling,
                period_ms,
                api_endpoint,
                zone,
                instance,
                credentials,
                wall_threads,
            )
            if _config.ignores_token_file(_config.find_endpoint(api_endpoint)):
                _client_logger.warning(TOKEN_IS_IGNORED)
            if discovery_service_url:
                _client_logger.warning(
                    "discovery_service_url is ignored: there is no discovery over "
                    "gRPC; use api_endpoint"
                )
            _begin(native, options, credentials)
        except (NotImplementedError, ValueError):
            raise  # of them some are OSErrors or RuntimeErrors, too
        except (ImportError, MemoryError, OSError, RuntimeError) as e:
            # What the system refuses us does not end the program.
            stop()
            _client_logger.error(
                "Cannot start profiling: %s", str(e) or type(e).__name__
            )


def _begin(native, options, credentials):
    _selftest.run(native.walk_self)
    native.speak_through(_client_logger.log, lambda: _hear(native))
    native.call_in_child(lambda: _greenlets.run(native, _resume))
    native.start(**options)
    _State.source = _tokens.find_source(options, credentials)
    _State.native = native
    _give_tokens()
    _State.started = True
    if not _State.exit_hook:
        atexit.register(stop)
        _State.exit_hook = True
    _logger.info("Google Cloud Profiler Python agent version: %s", __version__)


def stop():
    """Stop profiling; returns within a second. start() may be called again.

    Does nothing where nothing was started.
    """
    finish(0.0)


def finish(patience_s):
    """As stop(), but a profile that is being collected is ended and uploaded first, for
    which there is so much time."""
    with _lock():
        native = _State.native
        if native is None or not native.running():
            return
        _State.started = False
        if _State.tokens:
            _State.tokens.stop()
            _State.tokens = None
        native.stop(patience_s)


def _give_tokens():
    if _State.source:
        native = _State.native
        _State.tokens = _tokens.Refresher(
            _State.source, native.give_token, native.give_no_token
        )


def _hear(native):
    """Whenever there are words, which is when each profile begins and ends."""
    try:
        if not _greenlets.are_threads():
            native.name_threads(_names.of_threads())
    finally:
        _greenlets.run(native, native.speak)


def _resume():
    """In a forked child, as its agent begins."""
    with _lock():
        if _State.native.running():
            _give_tokens()


def _load_native():
    """The native module, or NotImplementedError where this Python has none."""
    if sys.implementation.name != "cpython":
        raise NotImplementedError(
            "the profiler does not know the Python implementation '%s'; it serves "
            "CPython" % sys.implementation.name
        )
    if _has_other_objects() and not _is_made_for_this():
        raise NotImplementedError(
            "the profiler has no native module for this build of Python %d.%d (%s); "
            "use an ordinary build"
            % (*sys.version_info[:2], importlib.machinery.EXTENSION_SUFFIXES[0])
        )
    try:
        from googlecloudprofiler import _native
    except ImportError as e:
        raise NotImplementedError(_why_not_loaded(e)) from e
    return _native


def _why_not_loaded(error):
    # Where no file can be opened, this says so.
    files = os.listdir(os.path.dirname(os.path.abspath(__file__)))
    # Not at the top: few programs need it, and it takes milliseconds.
    import platform

    if any(f.startswith("_native.") and f.endswith(".so") for f in files):
        return "the profiler's native module cannot be loaded here: %s" % error
    return (
        "this package of the profiler has no native module, as there is none for "
        "%s (%s): build one here with pip install of the source distribution"
        % (platform.machine(), " ".join(platform.libc_ver()) or "no glibc")
    )


def _has_other_objects():
    """Whether objects here have another head: a module made for the ordinary one
    crashes as it is imported."""
    flags = getattr(sys, "abiflags", "")
    return "t" in flags or ("d" in flags and sys.version_info < (3, 8))


def _is_made_for_this():
    """Whether there is a native module for this very build of Python."""
    folder = os.path.dirname(__file__)
    return any(
        os.path.exists(os.path.join(folder, "_native" + suffix))
        for suffix in importlib.machinery.EXTENSION_SUFFIXES
        if suffix.startswith(".cpython-")
    )
