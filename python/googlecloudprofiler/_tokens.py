"""Tokens that Python gets, kept fresh for the native agent.

The agent's own thread never runs Python, so a thread here asks: an object of
google.auth where start(credentials=...) was called, and _exchange for files that need
it. Most programs need neither, nor the modules that both do, whose memory each fork
would copy: they are imported where they are used.
"""

import threading

from googlecloudprofiler import _credentials

# As google.auth does: a token with less than this left, in seconds, is as good as old.
_MARGIN_S = 225
# Between two tries that failed, and the longest rest: clocks are set, machines sleep,
# and a token that was refused waits for the next look.
_RETRY_S = (10, 300)
_MAX_REST_S = 60


def find_source(options, credentials):
    """Whom to ask, by the options of the native start(); None where the agent makes its
    tokens by itself."""
    kind = options["credentials_type"]
    if kind in ("authorized_user", "external_account"):
        from googlecloudprofiler import _exchange

        return _exchange.FileTokens(options["credentials_path"])
    return credentials if kind == "object" else None


class Refresher:
    """Gives tokens of `credentials` to `give(token, seconds)` until stop().

    `give` is False for a token that the service has refused: then another is asked
    for. `fail(words, refused)` hears why there is none: of a stranger's error the kind,
    never its text, which may hold what is secret.
    """

    def __init__(self, credentials, give, fail):
        self._credentials = credentials
        self._give = give
        self._fail = fail
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="googlecloudprofiler-tokens", daemon=True
        )
        self._thread.start()

    def stop(self):
        self._stop.set()

    def _run(self):
        pause = _RETRY_S[0]
        while not self._stop.is_set():
            try:
                self._credentials = _with_scope(self._credentials)
                rest = self._renew()
                pause = _RETRY_S[0]
            except Exception as e:  # whatever a stranger's object raises
                from googlecloudprofiler import _exchange

                if isinstance(e, _exchange.ExchangeError):
                    self._fail(e.words, e.refused)
                else:
                    self._fail(type(e).__name__, False)
                rest, pause = pause, min(2 * pause, _RETRY_S[1])
            self._stop.wait(rest)

    def _renew(self):
        """Give a token that lasts; returns the seconds until the next look."""
        credentials = self._credentials
        left = _seconds_left(credentials)
        if not (
            credentials.token
            and left >= _MARGIN_S
            and self._give(credentials.token, left)
        ):
            credentials.refresh(
                getattr(credentials, "make_request", _make_request)()
            )
            left = _seconds_left(credentials)
            # Once stopped, another one may give its tokens.
            if not self._stop.is_set():
                self._give(credentials.token, left)
        return max(min(left - _MARGIN_S, _MAX_REST_S), _RETRY_S[0])


def _with_scope(credentials):
    """Some objects must be told what the token is for."""
    if getattr(credentials, "requires_scopes", False):
        return credentials.with_scopes([_credentials.SCOPE])
    return credentials


def _make_request():
    """What google.auth goes to the network with, by what is installed."""
    try:
        from google.auth.transport.requests import Request
    except ImportError:
        import urllib3
        from google.auth.transport.urllib3 import Request

        return Request(urllib3.PoolManager())
    return Request()


def _seconds_left(credentials):
    """An hour for a token that does not say. `expiry` is UTC without saying so."""
    import datetime

    expiry = getattr(credentials, "expiry", None)
    if expiry is None:
        return 3600.0
    if expiry.tzinfo is None:
        expiry = expiry.replace(tzinfo=datetime.timezone.utc)
    now = datetime.datetime.now(datetime.timezone.utc)
    return (expiry - now).total_seconds()
