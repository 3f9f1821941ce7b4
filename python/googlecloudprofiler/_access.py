"""Who may call the local service: its certificate and key for TLS, and its token."""

import os
import stat
from collections import namedtuple

# A chain takes some kB; what is longer than this is something else.
_MAX_BYTES = 1 << 20

OPEN_TO_ALL = "every user of this host can read '%s': take that away by chmod o-r"

# `certificate` and `key` are PEM texts, `context` is what Python's ssl makes of them,
# `token` is one word; each may be None.
Access = namedtuple("Access", "certificate key context token")

ANYBODY = Access(None, None, None, None)


class AccessError(ValueError):
    """A file cannot be used. The message quotes nothing of it."""


def find(native, cert_path=None, key_path=None, token_path=None):
    """The Access that is in these files; certificate and key go together.

    Raises:
        AccessError: One of them cannot be used.
    """
    certificate = key = context = token = None
    if cert_path or key_path:
        certificate, key = _read(cert_path), _read(key_path)
        context = _load_pair(cert_path, key_path)
    if token_path:
        try:
            token = native.read_token(token_path)
        except (OSError, ValueError) as e:
            raise AccessError(str(e)) from None
    return Access(certificate, key, context, token)


def is_open_to_all(path):
    """Whether each user of this host may read a file that is a secret."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def _read(path):
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as e:
        raise AccessError("cannot read '%s': %s" % (path, e.strerror)) from None
    if len(data) > _MAX_BYTES or b"-----BEGIN " not in data:
        raise AccessError("'%s' is no PEM file" % path)
    # Latin-1 is whatever it is; what is no PEM, core does not look at.
    return data.decode("latin-1")


def _load_pair(cert_path, key_path):
    """The context for the page's server. Core says of a pair that is none only that it
    cannot listen; Python's ssl says why."""
    import ssl  # not for those who have no certificate

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, so that nobody is asked for one.
        context.load_cert_chain(cert_path, key_path, password="")
    except (OSError, ValueError) as e:  # an SSLError is an OSError
        raise AccessError(
            "cannot use the certificate '%s' with the key '%s', which must belong to "
            "it and have no password: %s"
            % (cert_path, key_path, getattr(e, "reason", None) or type(e).__name__)
        ) from None
    return context
