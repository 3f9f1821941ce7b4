"""Tokens of an object of google.auth: kept fresh, and never in words."""

import datetime
import queue

import pytest
from endpoints import TokenServer
from fixtures import make_key
from googlecloudprofiler import _credentials, _tokens

PATIENCE_S = 30
UTC = datetime.timezone.utc


def in_seconds(seconds, aware=False):
    moment = datetime.datetime.now(UTC) + datetime.timedelta(seconds=seconds)
    return moment if aware else moment.replace(tzinfo=None)


class Fake:
    """Credentials: each refresh makes the next token, or raises."""

    def __init__(self, token=None, expiry=None, life_s=3600, failures=()):
        self.token = token
        self.expiry = expiry
        self.life_s = life_s
        self.failures = list(failures)
        self.refreshed = 0

    def refresh(self, request):
        self.refreshed += 1
        if self.failures:
            raise self.failures.pop(0)
        self.token = "token-%d" % self.refreshed
        self.expiry = in_seconds(self.life_s)


class Heard:
    """What the native agent would hear, in order; `refused` it takes for bad."""

    def __init__(self):
        self.rows = queue.Queue()
        self.refused = set()

    def give(self, token, left_s):
        self.rows.put((token, left_s))
        return token not in self.refused

    def fail(self, words, refused):
        assert not refused
        self.rows.put(words)

    def next(self):
        return self.rows.get(timeout=PATIENCE_S)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def refresh(heard, monkeypatch):
    """refresh(credentials, rest_s=60) starts a Refresher that is stopped at the end;
    it looks again, and tries again, after `rest_s`."""
    running = []

    def start(credentials, rest_s=60, request=None):
        monkeypatch.setattr(_tokens, "_RETRY_S", (rest_s, rest_s))
        monkeypatch.setattr(_tokens, "_MAX_REST_S", rest_s)
        if isinstance(credentials, Fake):
            monkeypatch.setattr(_tokens, "_make_request", lambda: request)
        r = _tokens.Refresher(credentials, heard.give, heard.fail)
        running.append(r)
        return r

    yield start
    for r in running:
        r.stop()
        r._thread.join(PATIENCE_S)
        assert not r._thread.is_alive()


def test_a_first_token_is_fetched_and_given(refresh, heard):
    credentials = Fake()
    refresh(credentials)
    token, left_s = heard.next()
    assert token == "token-1"
    assert 3500 < left_s <= 3600
    assert credentials.refreshed == 1


@pytest.mark.parametrize("aware", [False, True])
def test_a_token_that_lasts_is_given_as_it_is(refresh, heard, aware):
    credentials = Fake("given", in_seconds(1000, aware))
    refresh(credentials)
    token, left_s = heard.next()
    assert token == "given"
    assert 900 < left_s <= 1000
    assert credentials.refreshed == 0


def test_another_time_zone_is_understood(refresh, heard):
    zone = datetime.timezone(datetime.timedelta(hours=-7))
    credentials = Fake("given", in_seconds(1000, True).astimezone(zone))
    refresh(credentials)
    assert 900 < heard.next()[1] <= 1000


def test_a_token_without_an_expiry_lasts_an_hour(refresh, heard):
    refresh(Fake("given", None))
    assert heard.next() == ("given", 3600.0)


@pytest.mark.parametrize("aware", [False, True])
@pytest.mark.parametrize("left_s", [-100, 0, 200])
def test_what_is_about_to_expire_is_renewed_first(refresh, heard, aware, left_s):
    """google.auth's own margin is 225 s."""
    refresh(Fake("old", in_seconds(left_s, aware)))
    assert heard.next()[0] == "token-1"


def test_a_token_is_renewed_as_it_gets_old(refresh, heard):
    refresh(Fake(life_s=100), rest_s=0.001)
    assert [heard.next()[0] for _ in range(3)] == ["token-1", "token-2", "token-3"]


def test_a_good_token_is_shown_again_and_again(refresh, heard):
    credentials = Fake()
    refresh(credentials, rest_s=0.001)
    assert {heard.next()[0] for _ in range(5)} == {"token-1"}
    assert credentials.refreshed == 1


def test_a_token_that_was_refused_is_replaced(refresh, heard):
    refresh(Fake("bad", in_seconds(1000)), rest_s=0.001)
    assert heard.next()[0] == "bad"
    heard.refused.add("bad")
    token = "bad"
    while token == "bad":
        token, _ = heard.next()
    assert token == "token-1"


@pytest.mark.parametrize(
    "failure", [ValueError("hush"), KeyError("hush"), ConnectionError("hush")]
)
def test_a_failure_is_told_by_its_kind_alone_and_tried_again(refresh, heard, failure):
    refresh(Fake(failures=[failure, failure]), rest_s=0.001)
    assert [heard.next() for _ in range(2)] == [type(failure).__name__] * 2
    assert heard.next()[0] == "token-3"


def test_an_expiry_that_is_none_of_a_time_is_a_failure(refresh, heard):
    refresh(Fake("given", "tomorrow"))
    assert heard.next() == "AttributeError"


class Scoped(Fake):
    requires_scopes = True

    def __init__(self, made=None):
        super().__init__()
        self.made = made
        self.scopes = None

    def with_scopes(self, scopes):
        if isinstance(self.made, Exception):
            raise self.made
        self.made.scopes = scopes
        return self.made


def test_a_scope_is_asked_for_where_one_is_needed(refresh, heard):
    made = Scoped()
    made.requires_scopes = False
    refresh(Scoped(made))
    assert heard.next()[0] == "token-1"
    assert made.scopes == [_credentials.SCOPE]
    assert made.refreshed == 1


def test_a_scope_that_cannot_be_asked_for_fails_in_the_thread(refresh, heard):
    refresh(Scoped(NotImplementedError("hush")))
    assert heard.next() == "NotImplementedError"


def test_stop_ends_the_thread_between_two_looks(refresh, heard):
    refresher = refresh(Fake())
    heard.next()
    refresher.stop()
    refresher._thread.join(PATIENCE_S)
    assert not refresher._thread.is_alive()


def test_the_thread_does_not_keep_the_program_alive(refresh):
    thread = refresh(Fake())._thread
    assert thread.daemon
    assert thread.name == "googlecloudprofiler-tokens"


def test_google_auths_own_service_account_is_served(refresh, heard, tmp_path):
    """With the scope that it is created without."""
    jwt = pytest.importorskip("google.auth.jwt")
    from google.oauth2 import service_account

    with TokenServer(prefix="real") as server:
        server.life_s = 1000
        credentials = service_account.Credentials.from_service_account_info(
            {
                "client_email": "a@b.test",
                "private_key": make_key(tmp_path),
                "token_uri": server.url,
            }
        )
        assert credentials.requires_scopes
        refresh(credentials)
        token, left_s = heard.next()
    assert token == "real-1"
    assert 900 < left_s <= 1000
    assertion = server.asked[0]["assertion"]
    claims = jwt.decode(assertion, verify=False)
    assert claims["scope"] == _credentials.SCOPE
    assert claims["iss"] == "a@b.test"


def test_google_auths_anonymous_credentials_are_a_failure(refresh, heard):
    credentials = pytest.importorskip("google.auth.credentials")
    refresh(credentials.AnonymousCredentials())
    assert heard.next() == "InvalidOperation"
