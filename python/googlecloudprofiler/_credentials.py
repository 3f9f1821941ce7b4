"""Credentials: found and checked here, used by the native agent.

What is secret in them is in no message and no log. A file is handed on by its path:
the agent reads it again when it has changed.
"""

import os
from collections import namedtuple

# `type` is a file's, "metadata" for the metadata server's tokens, "object" for those of
# an object of google.auth, or "token_file" for a token in a file, which is for a
# service of one's own. `project_id` and `quota_project` may be None.
Credentials = namedtuple("Credentials", "type path project_id quota_project")

# A key file has 2.4 kB; what is longer than this is something else.
_MAX_BYTES = 1 << 20

# The types that are served, and the fields that each cannot do without.
_SUPPORTED = {
    "service_account": ("private_key_id", "private_key", "client_email", "client_id"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
    "external_account": ("audience", "subject_token_type", "token_url"),
}

# What a token must be good for.
SCOPE = "https://www.googleapis.com/auth/monitoring.write"

_BY_OBJECT = (
    "install google-auth and pass start(credentials=google.auth.default("
    'scopes=["%s"])[0])' % SCOPE
)


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
    path = os.path.abspath(path)
    content = read_file(path)
    return Credentials(
        content["type"],
        path,
        _text(content, "project_id"),
        _text(content, "quota_project_id"),
    )


def read_file(path):
    """The content of a credentials file, as a dict: of a type that is served, and with
    all that this needs. Raises as load_file()."""
    content = _read_object(path)
    kind = content.get("type")
    if not isinstance(kind, str) or kind not in _SUPPORTED:
        raise CredentialsError(
            "credentials file '%s' has the type %r, which is not one of %s; %s"
            % (path, str(kind)[:64], ", ".join(sorted(_SUPPORTED)), _BY_OBJECT)
        )
    for field in _SUPPORTED[kind]:
        if not isinstance(content.get(field), str) or not content[field]:
            raise CredentialsError("credentials file '%s' has no %s" % (path, field))
    if kind == "service_account" and "-----BEGIN" not in content["private_key"]:
        raise CredentialsError(
            "credentials file '%s' has a private_key that is not in PEM form" % path
        )
    if kind == "external_account":
        _check_source(path, content.get("credential_source"))
    return content


def _read_object(path):
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
    import json  # not for those who have no file

    # Not `from e`: the parser's message may hold a piece of the file.
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise CredentialsError(
            "credentials file '%s' is not a JSON object with a type" % path
        )
    return content


def _check_source(path, source):
    """Where an external account's own token comes from: a file or a URL."""
    if not isinstance(source, dict):
        raise CredentialsError(
            "credentials file '%s' has no credential_source" % path
        )
    if "environment_id" in source or not (
        isinstance(source.get("file"), str) or isinstance(source.get("url"), str)
    ):
        raise CredentialsError(
            "credentials file '%s' has its token neither from a file nor from a URL, "
            "which is not supported; %s" % (path, _BY_OBJECT)
        )


def _text(content, field):
    value = content.get(field)
    return value if isinstance(value, str) and value else None


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


def of_metadata_server():
    """The Credentials that the metadata server gives out tokens for."""
    return Credentials("metadata", None, None, None)


def of_token_file(native, path):
    """Those of a service of one's own: the token in the file at `path`.

    Raises:
        CredentialsError: It cannot be read, or has no token.
    """
    path = os.path.abspath(path)
    try:
        native.read_token(path)
    except (OSError, ValueError) as e:
        raise CredentialsError(str(e)) from None
    return Credentials("token_file", path, None, None)


def of_object(credentials):
    """Those of an object of google.auth, or one that looks like it: it has
    `refresh(request)`, `token` and `expiry`.

    Raises:
        TypeError: It does not.
    """
    if not callable(getattr(credentials, "refresh", None)) or not hasattr(
        credentials, "token"
    ):
        raise TypeError(
            "credentials must be an object of google.auth, not %s"
            % type(credentials).__name__
        )
    return Credentials(
        "object",
        None,
        getattr(credentials, "project_id", None),
        getattr(credentials, "quota_project_id", None),
    )


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


def find_quota_project(credentials, environ=os.environ):
    """The project that pays for the calls, or None for the credentials' own:
    GOOGLE_CLOUD_QUOTA_PROJECT, else the one in the credentials."""
    if not credentials:
        return None
    return environ.get("GOOGLE_CLOUD_QUOTA_PROJECT") or credentials.quota_project
