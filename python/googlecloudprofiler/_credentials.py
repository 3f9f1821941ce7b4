"""Credential files: found and read here, understood by gRPC core.

The text of a file is handed on as it is; it is in no message and no log.
"""

import json
import os
from collections import namedtuple

# `type` and `json` are what gRPC core gets; `project_id` is the file's, or None.
Credentials = namedtuple("Credentials", "type json project_id")

# A key file has 2.4 kB; what is longer than this is something else.
_MAX_BYTES = 1 << 20

# The types that core understands, and the fields it cannot do without.
_SUPPORTED = {
    "service_account": ("private_key_id", "private_key", "client_email", "client_id"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}


class CredentialsError(ValueError):
    """Credentials cannot be found or used. A ValueError, as start() promises."""


class MissingFileError(CredentialsError, FileNotFoundError):
    """A file that was named does not exist. Also a FileNotFoundError, because
    the original agent raised that."""


def load_file(path):
    """The Credentials in the JSON file at `path`.

    Raises:
        MissingFileError: There is no such file.
        CredentialsError: It cannot be read, or its type is not supported.
    """
    try:
        with open(path, "rb") as f:
            data = f.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise MissingFileError(
            "credentials file '%s' does not exist" % path
        ) from None
    except OSError as e:
        raise CredentialsError(
            "cannot read credentials file '%s': %s" % (path, e.strerror)
        ) from None
    if len(data) > _MAX_BYTES:
        raise CredentialsError("credentials file '%s' is too long" % path)
    # Not `from e`: the parser's message may hold a piece of the file.
    try:
        text = data.decode("utf-8")
        content = json.loads(text)
        kind = content["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CredentialsError(
            "credentials file '%s' is not a JSON object with a type" % path
        ) from None
    if not isinstance(kind, str) or kind not in _SUPPORTED:
        raise CredentialsError(
            "credentials file '%s' has the type %r, which is not supported; use one "
            "of: %s" % (path, str(kind)[:64], ", ".join(sorted(_SUPPORTED)))
        )
    for field in _SUPPORTED[kind]:
        if not isinstance(content.get(field), str) or not content[field]:
            raise CredentialsError(
                "credentials file '%s' has no %s" % (path, field)
            )
    if kind == "service_account" and "-----BEGIN" not in content["private_key"]:
        raise CredentialsError(
            "credentials file '%s' has a private_key that is not in PEM form" % path
        )
    project = content.get("project_id")
    return Credentials(kind, text, project if isinstance(project, str) else None)


def find_default(environ=os.environ):
    """Application Default Credentials from files, or None where there are none.

    The file named by GOOGLE_APPLICATION_CREDENTIALS, else the one that
    `gcloud auth application-default login` leaves.

    Raises:
        CredentialsError: As load_file().
    """
    path = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if path:
        return load_file(path)
    folder = environ.get("CLOUDSDK_CONFIG") or os.path.join(
        os.path.expanduser("~"), ".config", "gcloud"
    )
    path = os.path.join(folder, "application_default_credentials.json")
    return load_file(path) if os.path.exists(path) else None


def find_project(project_id, credentials, from_argument, environ=os.environ):
    """The project's id, or None.

    The argument; then, unless the credentials came from start()'s own argument,
    GOOGLE_CLOUD_PROJECT or GCLOUD_PROJECT; then the credentials' own.
    """
    if project_id:
        return project_id
    if not from_argument:
        name = environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCLOUD_PROJECT")
        if name:
            return name
    return credentials.project_id if credentials else None
