"""What the agent is told to do: arguments beat environment beats defaults."""

import logging
import os
import re
from collections import namedtuple

_logger = logging.getLogger("googlecloudprofiler.client")

# The service's own pattern for a deployment's target.
_SERVICE = re.compile(r"^[a-z0-9]([-a-z0-9_.]{0,253}[a-z0-9])?\Z")
_SERVICE_TEXT = "^[a-z0-9]([-a-z0-9_.]{0,253}[a-z0-9])?$"

# host, [IPv6 address], each with or without :port
_HOST_PORT = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?/?\Z"
)

DEFAULT_ENDPOINT = "cloudprofiler.googleapis.com:443"

# The sampling period, in milliseconds. Below 1 the sampler would take more than
# 3 % of a core; above 1000 a ten-second profile says nothing.
PERIOD_MS_RANGE = (1, 1000)

# The service takes 512 bytes a label and 1,024 for all of a deployment's.
MAX_LABEL_BYTES = 480

# `target` is gRPC's name for the address; `local` means plaintext on loopback.
Endpoint = namedtuple("Endpoint", "target tls local")


def is_enabled(environ=os.environ):
    """False if GOOGLE_CLOUD_PROFILER_ENABLED says so: 0, false, no or off."""
    value = environ.get("GOOGLE_CLOUD_PROFILER_ENABLED", "")
    return value.strip().lower() not in ("0", "false", "no", "off")


def find_service(service, environ=os.environ):
    """The service's name: the argument, GAE_SERVICE or K_SERVICE.

    Raises:
        ValueError: There is none, or the service would refuse it.
    """
    name = service or environ.get("GAE_SERVICE") or environ.get("K_SERVICE")
    if not name:
        raise ValueError(
            "Service name must be provided via configuration or GAE_SERVICE "
            "environment variable."
        )
    if not _SERVICE.match(name):
        raise ValueError(
            'Service name "%s" does not match regular expression "%s"'
            % (name, _SERVICE_TEXT)
        )
    return name


def service_name(text, otherwise):
    """A name made of a text, of what the service takes; `otherwise` where that is
    nothing."""
    name = re.sub(r"[^-a-z0-9_.]+", "-", text.lower())[:255].strip("-_.")
    return name or otherwise


def find_version(version, environ=os.environ):
    """The service's version, or None: the argument, GAE_VERSION or K_REVISION."""
    return version or environ.get("GAE_VERSION") or environ.get("K_REVISION") or None


def fit_label(name, value):
    """The value of a label as the service takes it: cut with a warning where it is
    longer than MAX_LABEL_BYTES in UTF-8. None stays None.

    Raises:
        TypeError: It is no string.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("%s must be a str, not %s" % (name, type(value).__name__))
    data = value.encode("utf-8", "replace")
    if len(data) <= MAX_LABEL_BYTES:
        return value
    _logger.warning(
        "The %s is longer than the %d bytes that a label may have, and is cut",
        name,
        MAX_LABEL_BYTES,
    )
    return data[:MAX_LABEL_BYTES].decode("utf-8", "ignore")


def check_wall_threads(wall_threads):
    """Whether wall profiles are of the main thread only.

    Raises:
        ValueError: It is neither "all" nor "main".
    """
    if wall_threads not in ("all", "main"):
        raise ValueError(
            "wall_threads must be 'all' or 'main', not %r" % (wall_threads,)
        )
    return wall_threads == "main"


def check_period_ms(period_ms):
    """The sampling period as an int of nanoseconds.

    Raises:
        ValueError: It is not within PERIOD_MS_RANGE.
        TypeError: It is not a number.
    """
    low, high = PERIOD_MS_RANGE
    if isinstance(period_ms, bool) or not isinstance(period_ms, (int, float)):
        raise TypeError("period_ms must be a number, not %s" % type(period_ms).__name__)
    if not low <= period_ms <= high:
        raise ValueError(
            "period_ms must be between %d and %d, not %s" % (low, high, period_ms)
        )
    return int(period_ms * 1000000)


def find_endpoint(api_endpoint, environ=os.environ):
    """Where the Profiler service is: an Endpoint.

    The argument, else GOOGLE_CLOUD_PROFILER_ENDPOINT, else Google's own. Forms:
    `host:port` and `https://host:port` (TLS; the port may be left out), and for
    loopback only `http://host:port` and `unix:/path` (plaintext).

    Raises:
        ValueError: It has none of these forms, or plaintext would leave the host.
        TypeError: It is not a string.
    """
    text = (
        api_endpoint
        or environ.get("GOOGLE_CLOUD_PROFILER_ENDPOINT")
        or DEFAULT_ENDPOINT
    )
    if not isinstance(text, str):
        raise TypeError("api_endpoint must be a str, not %s" % type(text).__name__)
    if text.startswith("unix:"):
        if not text[len("unix:") :].strip("/"):
            raise ValueError('endpoint "%s" names no socket' % text)
        return Endpoint(text, tls=False, local=True)
    if text.startswith("http://"):
        host, port = _split_host(text, text[len("http://") :], None)
        if not _is_loopback(host):
            raise ValueError(
                'endpoint "%s" is not on this host: plaintext is for loopback only, '
                "use https://" % text
            )
        return Endpoint(_join(host, port), tls=False, local=True)
    rest = text[len("https://") :] if text.startswith("https://") else text
    host, port = _split_host(text, rest, 443)
    return Endpoint(_join(host, port), tls=True, local=False)


def find_token_file(endpoint, environ=os.environ):
    """The path of the file with the token that the service wants, or None:
    GOOGLE_CLOUD_PROFILER_TOKEN_FILE, unless the Endpoint is Google's."""
    path = environ.get("GOOGLE_CLOUD_PROFILER_TOKEN_FILE")
    return path if path and not _is_googles(endpoint) else None


def ignores_token_file(endpoint, environ=os.environ):
    """Whether a file is named that find_token_file() does not give out."""
    path = environ.get("GOOGLE_CLOUD_PROFILER_TOKEN_FILE")
    return bool(path) and _is_googles(endpoint)


def _is_googles(endpoint):
    host = endpoint.target.rpartition(":")[0].rstrip(".").lower()
    return endpoint.tls and ("." + host).endswith(".googleapis.com")


def _split_host(text, rest, default_port):
    match = _HOST_PORT.match(rest)
    port = int(match.group(3) or default_port or 0) if match else 0
    if not 0 < port < 65536:
        raise ValueError(
            'endpoint "%s" must look like host:port, https://host:port, or, on '
            "loopback, http://host:port or unix:/path" % text
        )
    return match.group(1) or match.group(2), port


def _join(host, port):
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def _is_loopback(host):
    if host in ("localhost", "::1"):
        return True
    # What is no address, like 127.0.0.256, is a name, and any host's.
    parts = host.split(".")
    return (
        len(parts) == 4
        and parts[0] == "127"
        and all(p.isdigit() and len(p) <= 3 and int(p) < 256 for p in parts)
    )
