"""From start()'s arguments and the environment to what the native agent is told."""

import logging
import os
import sys

from googlecloudprofiler import _config, _credentials, _network, _platform
from googlecloudprofiler.__version__ import __version__

_logger = logging.getLogger("googlecloudprofiler.client")

NO_CREDENTIALS = (
    "no credentials: set GOOGLE_APPLICATION_CREDENTIALS to a key file, pass "
    "service_account_json_file, or use a local service by api_endpoint="
    '"http://127.0.0.1:PORT", or one elsewhere with its token in a file that '
    "GOOGLE_CLOUD_PROFILER_TOKEN_FILE names"
)
_NO_PROJECT = (
    "Unable to determine the project ID from the environment. project ID mush be "
    "provided if running outside of GCP."
)

# How long start() waits for a metadata server that may or may not be there.
_PROBE_S = 1.0


def resolve(
    native,
    service,
    service_version,
    project_id,
    key_file,
    disable_cpu,
    disable_wall,
    period_ms,
    api_endpoint,
    zone,
    instance,
    credentials_object,
    wall_threads="all",
):
    """The keyword arguments of _native.start(), in the original's order of checks.

    Raises:
        ValueError, TypeError: As start().
    """
    endpoint = _config.find_endpoint(api_endpoint)
    where = _platform.Platform("local", None, True)
    credentials = None
    token_file = _config.find_token_file(endpoint)
    own = endpoint.local or token_file is not None
    if token_file:
        credentials = _credentials.of_token_file(native, token_file)
    if not own:
        where, credentials = look_around(
            native, project_id, key_file, credentials_object
        )
        if not credentials:
            raise _credentials.CredentialsError(NO_CREDENTIALS)
    if disable_cpu:
        _logger.info("CPU profiling is disabled by disable_cpu_profiling")
    if disable_wall:
        _logger.info("Wall profiling is disabled by disable_wall_profiling")
    if disable_cpu and disable_wall:
        raise ValueError("No profiling mode is enabled.")
    project = _credentials.find_project(project_id, credentials, bool(key_file))
    if own:
        project = project or "local"
    if not project and not where.metadata_host:
        raise ValueError(_NO_PROJECT)
    return {
        "transport_path": transport_path(),
        "target": endpoint.target,
        "tls": endpoint.tls,
        "proxy": _find_proxy(endpoint),
        "roots": _network.find_roots() if endpoint.tls else (),
        "credentials_type": credentials.type if credentials else None,
        "credentials_path": credentials.path if credentials else None,
        "quota_project": None if own else _credentials.find_quota_project(credentials),
        "metadata_host": where.metadata_host,
        "project": project,
        "service": _config.find_service(service),
        "labels": _find_labels(service_version, zone),
        "zone": bool(zone),
        "instance": _config.fit_label("instance", instance),
        "cpu": not disable_cpu,
        "wall": not disable_wall,
        "wall_main": _config.check_wall_threads(wall_threads),
        "period_ns": _config.check_period_ms(period_ms),
        "user_agent": "gcloud-python-profiler/%s" % __version__,
        "api_client": "gl-python/%s gccl/%s"
        % (sys.version.split()[0], __version__),
    }


def transport_path():
    """Where the native module finds gRPC core."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "_transport.so")


def look_around(native, project_id, key_file, credentials_object):
    """The Platform, and the Credentials or None.

    Where it does not show whether there is a metadata server, it is looked for, if it
    is needed: what else it knows can be done without.

    Raises:
        CredentialsError: What was named cannot be used.
    """
    where = _platform.find()
    if credentials_object is not None:
        found = _credentials.of_object(credentials_object)
    elif key_file:
        found = _credentials.load_file(key_file)
    else:
        found = _credentials.find_default()
    known = found and _credentials.find_project(project_id, found, bool(key_file))
    if not (where.sure or known or _has_metadata_server(native, where)):
        where = where._replace(metadata_host=None)
    if not found and where.metadata_host:
        found = _credentials.of_metadata_server()
    return where, found


def _has_metadata_server(native, where):
    """Look for it. Google's always knows the project; what other clouds have at the
    same address does not."""
    try:
        found = native.metadata(where.metadata_host, "project/project-id", _PROBE_S)
    except OSError:
        return False
    return bool(found)


def _find_proxy(endpoint):
    if not endpoint.tls:
        return None
    try:
        return _network.find_proxy(endpoint.target.rpartition(":")[0])
    except _network.ProxyError as e:
        _logger.warning("The proxy is not used: %s", e)
        return None


def _find_labels(service_version, zone):
    labels = [("language", "python")]
    for name, value in (
        ("version", _config.find_version(service_version)),
        ("zone", zone),
    ):
        value = _config.fit_label(name, value)
        if value:
            labels.append((name, value))
    return tuple(labels)
