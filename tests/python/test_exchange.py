"""Tokens in exchange for what a credentials file has: what is asked, and of whom."""

import base64
import datetime
import http.server
import json
import os
import socketserver
import threading
import urllib.parse

import pytest
from googlecloudprofiler import _credentials, _exchange

HUSH = "hush-hush"
USER = {
    "type": "authorized_user",
    "client_id": "me",
    "client_secret": HUSH,
    "refresh_token": HUSH,
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Says what `answers` has for the path: (status, object or text)."""

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode("utf-8")
        self.server.asked.append((self.path, dict(self.headers), body))
        status, answer = self.server.answers[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        data = answer if isinstance(answer, str) else json.dumps(answer)
        self.end_headers()
        self.wfile.write(data.encode("utf-8"))

    do_GET = do_POST

    def log_message(self, *unused):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as s:
        s.asked, s.answers = [], {}
        s.url = "http://127.0.0.1:%d" % s.server_address[1]
        thread = threading.Thread(target=s.serve_forever, args=(0.02,))
        thread.start()
        yield s
        s.shutdown()
        thread.join()


@pytest.fixture
def tokens(tmp_path):
    """tokens(content) is the FileTokens of a file that has it."""

    def make(content):
        path = tmp_path / "credentials.json"
        path.write_text(json.dumps(content))
        return _exchange.FileTokens(str(path))

    return make


def left_s(tokens):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (tokens.expiry - now).total_seconds()


def form_of(request):
    return dict(urllib.parse.parse_qsl(request[2]))


def token(life_s=1000):
    return 200, {"access_token": "t-1", "expires_in": life_s, "token_type": "Bearer"}


def test_a_users_token_lives_as_long_as_it_is_said_to(server, tokens):
    server.answers["/token"] = token()
    t = tokens(dict(USER, token_uri=server.url + "/token"))
    assert t.token is None
    t.refresh(None)
    assert t.token == "t-1"
    assert 990 < left_s(t) <= 1000


@pytest.mark.parametrize("life_s, most", [(10**9, 86400), (-5, 0), ("60", 60)])
def test_a_life_is_a_day_at_most(server, tokens, life_s, most):
    server.answers["/token"] = token(life_s)
    t = tokens(dict(USER, token_uri=server.url + "/token"))
    t.refresh(None)
    assert left_s(t) <= most


def test_a_file_that_changed_makes_its_token_old(server, tokens, tmp_path):
    server.answers["/token"] = token()
    content = dict(USER, token_uri=server.url + "/token")
    t = tokens(content)
    t.refresh(None)
    tokens(dict(content, refresh_token="another"))
    assert t.token is None
    t.refresh(None)
    assert form_of(server.asked[1])["refresh_token"] == "another"
    os.remove(str(tmp_path / "credentials.json"))
    assert t.token is None
    with pytest.raises(_exchange.ExchangeError) as error:
        t.refresh(None)
    assert error.value.refused and "does not exist" in error.value.words


def external(server, **fields):
    content = {
        "type": "external_account",
        "audience": "a",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": server.url + "/sts",
        "credential_source": {
            "url": server.url + "/subject",
            "headers": {"Metadata": "True"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    return dict(content, **fields)


def test_a_subject_token_comes_from_a_url_with_its_headers(server, tokens):
    server.answers.update({"/subject": (200, {"value": "s-1"}), "/sts": token()})
    t = tokens(external(server))
    t.refresh(None)
    assert t.token == "t-1"
    subject, sts = server.asked
    assert subject[1]["Metadata"] == "True"
    assert form_of(sts) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "a",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": "s-1",
        "scope": _credentials.SCOPE,
    }


def test_a_service_account_is_stood_in_for(server, tokens):
    server.answers.update({
        "/subject": (200, {"value": "s-1"}),
        "/sts": token(),
        "/account": (200, {"accessToken": "t-2", "expireTime": "2099-01-02T03:04:05Z"}),
    })
    account = server.url + "/account"
    t = tokens(external(server, service_account_impersonation_url=account))
    t.refresh(None)
    assert t.token == "t-2"
    assert t.expiry.isoformat() == "2099-01-02T03:04:05+00:00"
    _, sts, last = server.asked
    assert form_of(sts)["scope"].endswith("/cloud-platform")
    assert last[1]["Authorization"] == "Bearer t-1"
    assert json.loads(last[2]) == {"scope": [_credentials.SCOPE], "lifetime": "3600s"}


def test_a_client_says_who_it_is(server, tokens):
    server.answers.update({"/subject": (200, {"value": "s-1"}), "/sts": token()})
    tokens(external(server, client_id="me", client_secret="pw")).refresh(None)
    want = "Basic " + base64.b64encode(b"me:pw").decode()
    assert server.asked[1][1]["Authorization"] == want


def test_a_workforce_says_who_pays(server, tokens):
    server.answers.update({"/subject": (200, {"value": "s-1"}), "/sts": token()})
    tokens(external(server, workforce_pool_user_project="p-1")).refresh(None)
    assert json.loads(form_of(server.asked[1])["options"]) == {"userProject": "p-1"}


@pytest.mark.parametrize(
    "answer, words, refused",
    [
        ((302, HUSH), "says 302", False),
        ((400, {"error": "invalid_grant"}), "says 400 invalid_grant", True),
        ((401, {"error": "<b>%s</b>" % HUSH}), "says 401", True),
        ((503, HUSH), "says 503", False),
        ((200, HUSH), "not a JSON object", False),
        ((200, [HUSH]), "not a JSON object", False),
        ((200, {"x": HUSH}), "has no token", False),
        ((200, "[" * 100000), "not a JSON object", False),
        ((200, '{"x": "%s"}' % ("y" * 10**6)), "not a JSON object", False),
    ],
)
def test_what_is_wrong_is_told_without_what_came(
    server, tokens, answer, words, refused
):
    server.answers["/token"] = answer
    t = tokens(dict(USER, token_uri=server.url + "/token"))
    with pytest.raises(_exchange.ExchangeError) as error:
        t.refresh(None)
    assert words in error.value.words
    assert HUSH not in error.value.words
    assert error.value.refused == refused
    assert error.value.__cause__ is None
    assert t.token is None
    assert [path for path, _, _ in server.asked] == ["/token"]


@pytest.mark.parametrize("time", ["", "soon", "2099-01-02", "2099-13-02T03:04:05Z"])
def test_an_odd_time_is_no_token(server, tokens, time):
    server.answers.update({
        "/subject": (200, {"value": "s-1"}),
        "/sts": token(),
        "/account": (200, {"accessToken": "t-2", "expireTime": time}),
    })
    account = server.url + "/account"
    t = tokens(external(server, service_account_impersonation_url=account))
    with pytest.raises(_exchange.ExchangeError):
        t.refresh(None)
