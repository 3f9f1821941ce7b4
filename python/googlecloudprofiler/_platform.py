"""Which of Google's platforms this is, as far as it shows without a network."""

import os
from collections import namedtuple

# `metadata_host` is where the metadata server is, as GCE_METADATA_HOST names it; None
# where there is none. `sure` is False where only a look can tell.
Platform = namedtuple("Platform", "name metadata_host sure")

# Google's own address for it, which needs no DNS.
METADATA_HOST = "169.254.169.254:80"

DMI_PATH = "/sys/class/dmi/id/product_name"

# What each platform puts into the environment; the first that fits counts.
_VARIABLES = (
    ("GAE_ENV", "App Engine standard"),
    ("GAE_SERVICE", "App Engine flexible"),
    ("FUNCTION_TARGET", "Cloud Run functions"),
    ("K_SERVICE", "Cloud Run"),
    ("CLOUD_RUN_JOB", "a Cloud Run job"),
    ("CLOUD_RUN_WORKER_POOL", "a Cloud Run worker pool"),
)


def find(environ=os.environ, dmi_path=None):
    """The Platform. Reads the environment and one file of the kernel's, no more.

    GCE_METADATA_HOST names another metadata server, and that there is one;
    NO_GCE_CHECK=true that there is none.
    """
    host = environ.get("GCE_METADATA_HOST") or environ.get("GCE_METADATA_IP")
    name = next((n for v, n in _VARIABLES if environ.get(v)), None)
    google = _is_googles_machine(dmi_path or DMI_PATH)
    cluster = bool(environ.get("KUBERNETES_SERVICE_HOST"))
    if not name and cluster:
        name = "GKE" if google else "Kubernetes"
    if not name and google:
        name = "Compute Engine"
    if environ.get("NO_GCE_CHECK", "").strip().lower() == "true":
        return Platform(name or "not Google's", None, True)
    if host:
        return Platform(name or "told by GCE_METADATA_HOST", host, True)
    if name == "Kubernetes":
        # In a sandbox of GKE's the machine does not show.
        return Platform(name, METADATA_HOST, False)
    return Platform(name or "not Google's", METADATA_HOST if name else None, True)


def _is_googles_machine(dmi_path):
    """Whether the firmware says so: "Google" or "Google Compute Engine"."""
    try:
        with open(dmi_path, "rb") as f:
            return f.read(64).startswith(b"Google")
    except OSError:
        return False
