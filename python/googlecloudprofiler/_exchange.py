"""Tokens for the credentials files that must be exchanged for one: those of a user and
of an external account (workload identity federation).

gRPC core could do it, too, but with core 1.51 a TLS handshake that fails on the way to
the token endpoint ends the program, and core asks there with neither our proxy nor our
certificates. Nothing secret is in any words here.
"""

import base64
import datetime
import json
import os
import re

from googlecloudprofiler import _credentials, _network

# What a token that is to be exchanged for a service account's must be good for.
_ANY_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_USERS_ENDPOINT = "https://oauth2.googleapis.com/token"
_TIMEOUT_S = 30
# An answer has one or two kilobytes, a subject token as well.
_MAX_BYTES = 1 << 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ExchangeError(Exception):
    """There is no token. `words` may be shown; `refused` means that trying again will
    not help."""

    def __init__(self, words, refused=False):
        super().__init__(words)
        self.words = words
        self.refused = refused


class FileTokens:
    """What _tokens.Refresher asks, for the file at `path`.

    The file is read anew for each token; one that has changed makes the token old.
    """

    def __init__(self, path):
        self._path = path
        self._stamp = None
        self._token = None
        self.expiry = None

    @property
    def token(self):
        return self._token if self._stamp == _stamp(self._path) else None

    @staticmethod
    def make_request():
        """google.auth's objects need one; these do not."""

    def refresh(self, _request):
        """Get a new token.

        Raises:
            ExchangeError: There is none.
        """
        stamp = _stamp(self._path)
        try:
            content = _credentials.read_file(self._path)
        except ValueError as e:
            raise ExchangeError(str(e), refused=True) from None
        ask = _of_user if content["type"] == "authorized_user" else _of_external
        try:
            self._token, self.expiry = ask(content)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExchangeError("the token endpoint's answer has no token") from None
        self._stamp = stamp


def _stamp(path):
    try:
        st = os.stat(path)
    except OSError:
        return None
    return (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns)


def _of_user(content):
    """https://www.rfc-editor.org/rfc/rfc6749#section-6"""
    form = {f: content[f] for f in ("client_id", "client_secret", "refresh_token")}
    form["grant_type"] = "refresh_token"
    answer = _post_form(content.get("token_uri") or _USERS_ENDPOINT, form)
    return answer["access_token"], _in_seconds(answer["expires_in"])


def _of_external(content):
    """https://www.rfc-editor.org/rfc/rfc8693, and what Google adds to it."""
    account = content.get("service_account_impersonation_url")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": content["audience"],
        "subject_token_type": content["subject_token_type"],
        "subject_token": _subject_token(content["credential_source"]),
        "scope": _ANY_SCOPE if account else _credentials.SCOPE,
    }
    headers = {}
    if content.get("client_id"):
        pair = "%s:%s" % (content["client_id"], content.get("client_secret", ""))
        headers["Authorization"] = "Basic " + base64.b64encode(
            pair.encode("utf-8")
        ).decode("ascii")
    elif content.get("workforce_pool_user_project"):
        payer = {"userProject": content["workforce_pool_user_project"]}
        form["options"] = json.dumps(payer)
    answer = _post_form(content["token_url"], form, headers)
    if not account:
        return answer["access_token"], _in_seconds(answer["expires_in"])
    answer = _post(
        account,
        json.dumps({"scope": [_credentials.SCOPE], "lifetime": "3600s"}),
        {
            "Content-Type": "application/json",
            "Authorization": "Bearer " + answer["access_token"],
        },
    )
    return answer["accessToken"], _parse_time(answer["expireTime"])


def _subject_token(source):
    """The token of the other identity provider: out of a file, or by a GET."""
    if "file" in source:
        try:
            with open(source["file"], encoding="utf-8") as f:
                text = f.read(_MAX_BYTES)
        except (OSError, ValueError):
            raise ExchangeError(
                "cannot read the subject token in '%s'" % source["file"], refused=True
            ) from None
    else:
        text = _open(source["url"], None, source.get("headers") or {})
    form = source.get("format") or {}
    if form.get("type") != "json":
        return text.strip()
    return _parse(text)[form["subject_token_field_name"]]


def _post_form(url, form, headers=None):
    from urllib.parse import urlencode

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _post(url, urlencode(form), dict(kind, **(headers or {})))


def _post(url, body, headers):
    """The JSON object that answers a POST, over TLS unless it stays on this host."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and parts.hostname in _LOOPBACK
    ):
        raise ExchangeError("the token endpoint is not at https://", refused=True)
    return _parse(_open(url, body.encode("utf-8"), headers))


def _open(url, body, headers):
    """The text of an answer with status 200. Redirects are not followed."""
    # Not at the top: this takes 30 ms, and this thread has time.
    import http.client
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=_tls_context()), NoRedirect
    )
    request = urllib.request.Request(url, body, headers)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return answer.read(_MAX_BYTES).decode("utf-8")
    except urllib.error.HTTPError as e:
        why = _error_code(e.read(_MAX_BYTES))
        raise ExchangeError(
            "the token endpoint says %d%s" % (e.code, why), 400 <= e.code < 500
        ) from None
    except urllib.error.URLError as e:
        # An exception, or a text of urllib's own.
        kind = type(e.reason).__name__ if isinstance(e.reason, Exception) else "no way"
        raise ExchangeError("the token endpoint is not reached: %s" % kind) from None
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise ExchangeError(
            "the token endpoint does not answer: %s" % type(e).__name__
        ) from None


def _tls_context():
    """With the certificates that count for the service, too."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if hasattr(context, "minimum_version"):  # from 3.7
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in _network.find_roots():
        try:
            if os.path.isdir(path):
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError):
            continue
        if os.path.isdir(path) or context.cert_store_stats()["x509_ca"]:
            break
    return context


def _error_code(body):
    """OAuth's word for what is wrong, such as invalid_grant, if it is one."""
    try:
        word = json.loads(body.decode("utf-8"))["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    known = isinstance(word, str) and re.match(r"[a-z_]{1,40}\Z", word)
    return " " + word if known else ""


def _parse(text):
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ExchangeError("the token endpoint's answer is not a JSON object")
    return answer


def _in_seconds(seconds):
    life_s = min(max(float(seconds), 0.0), 86400.0)
    now = datetime.datetime.now(datetime.timezone.utc)
    return now + datetime.timedelta(seconds=life_s)


def _parse_time(text):
    """RFC 3339 in UTC, as Google writes it: 2014-10-02T15:01:23[.045]Z."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z\Z", text)
    if not match:
        raise ExchangeError("the token endpoint's answer has no time")
    moment = datetime.datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S")
    return moment.replace(tzinfo=datetime.timezone.utc)
