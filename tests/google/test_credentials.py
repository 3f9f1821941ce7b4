"""Each kind of credentials, as it arrives at the service; what is secret stays secret.

An account's key file makes tokens of itself. The token endpoint of a user's file is
https://oauth2.googleapis.com: here this is an address of this machine, by a file in
place of /etc/hosts. That of an external account is its file's `token_url`.
"""

import base64
import json
import os
import subprocess
import threading

import grpc
import pytest
from endpoints import Proxy, TokenServer
from fake_service import after, assign, postpone, refuse

HUSH = "hush-hush"


@pytest.fixture
def write(put):
    """write(content) puts a credentials file in its place; its path."""

    def run(content, name="credentials.json"):
        return put(name, json.dumps(content))

    return run


@pytest.fixture
def account(key_file):
    """The content of a service account's key file."""
    with open(key_file, encoding="utf-8") as file:
        return json.load(file)


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def token_of(call):
    """The JWT that a call came with: its head and its claims."""
    scheme, _, token = call.metadata["authorization"].partition(" ")
    assert scheme == "Bearer"
    head, claims, _ = token.split(".")
    return json.loads(decode(head).decode()), json.loads(decode(claims).decode())


def is_signed(call, pem, folder):
    """Whether the JWT is signed by that private key, in OpenSSL's opinion."""
    token = call.metadata["authorization"].split(" ")[1]
    text, _, signature = token.rpartition(".")
    (folder / "text").write_text(text)
    (folder / "signature").write_bytes(decode(signature))
    (folder / "key.pem").write_text(pem)
    for command in (
        "openssl pkey -in key.pem -pubout -out public.pem",
        "openssl dgst -sha256 -verify public.pem -signature signature text",
    ):
        done = subprocess.run(
            command.split(),
            cwd=str(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        if done.returncode:
            return False
    return True


def secrets_of(content):
    """What must not be seen of a credentials file; of a key, each of its lines."""
    fields = ("private_key", "private_key_id", "client_secret", "refresh_token")
    lines = "\n".join(content.get(f, "") for f in fields).split("\n")
    return [line for line in lines if len(line) > 7 and "PRIVATE KEY" not in line]


def see_no_secret(program, content, *more):
    text = program.text()
    for secret in (*secrets_of(content), *more, HUSH, "Bearer", "eyJ"):
        assert secret not in text


def test_a_service_account_signs_for_itself(watch, secure, write, account, tmp_path):
    account["private_key_id"] = "key-id-of-the-first"
    secure.on_create.append(assign("CPU", 0.1))
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=write(account))
    (update,) = secure.wait_updated(1)
    create = secure.created[0]
    head, claims = token_of(create)
    assert head == {"alg": "RS256", "kid": "key-id-of-the-first", "typ": "JWT"}
    # The service as core names it: without the method, with the port.
    assert claims["aud"] == "https://localhost:%d/" % secure.port
    assert claims["iss"] == claims["sub"] == "agent@key-project.test"
    assert claims["exp"] - claims["iat"] == 3600
    assert is_signed(create, account["private_key"], tmp_path)
    assert token_of(update)[1]["aud"] == claims["aud"]
    assert create.request.parent == "projects/key-project"
    assert "x-goog-user-project" not in create.metadata
    assert program.end() == []
    see_no_secret(program, account)


def test_the_argument_goes_before_the_environments_file(watch, secure, write, account):
    other = dict(account, client_email="other@key-project.test")
    path = write(other, "argument.json")
    program = watch(
        {"service_account_json_file": path},
        GOOGLE_APPLICATION_CREDENTIALS=write(account),
        GOOGLE_CLOUD_PROJECT="env-project",
    )
    (create,) = secure.wait_created(1)
    assert token_of(create)[1]["iss"] == "other@key-project.test"
    assert create.request.parent == "projects/key-project"
    assert program.end() == []


@pytest.mark.parametrize(
    "field, variable, wanted",
    [
        ("file-pays", None, "file-pays"),
        (None, "variable-pays", "variable-pays"),
        ("file-pays", "variable-pays", "variable-pays"),
    ],
)
def test_who_pays_is_a_header(
    watch, secure, write, account, field, variable, wanted
):
    secure.on_create.append(assign("CPU", 0.1))
    if field:
        account["quota_project_id"] = field
    program = watch(
        GOOGLE_APPLICATION_CREDENTIALS=write(account),
        GOOGLE_CLOUD_QUOTA_PROJECT=variable,
    )
    for call in (secure.wait_updated(1)[0], secure.created[0]):
        assert call.metadata["x-goog-user-project"] == wanted
    assert program.end() == []


def test_a_rotated_key_is_used_from_the_next_call_on(
    watch, secure, write, account
):
    go = threading.Event()
    secure.on_create.append(after(go, assign("CPU", 0.1)))
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=write(account))
    (create,) = secure.wait_created(1)
    assert token_of(create)[0]["kid"] == "1"
    write(dict(account, private_key_id="2"))
    go.set()
    (update,) = secure.wait_updated(1)
    assert token_of(update)[0]["kid"] == "2"
    assert token_of(secure.wait_created(2)[1])[0]["kid"] == "2"
    assert program.end() == []
    see_no_secret(program, account)


def test_a_key_that_goes_and_comes_back_needs_no_restart(
    watch, secure, write, account
):
    go = threading.Event()
    secure.on_create.append(after(go, postpone(nanos=1)))
    secure.on_create.append(assign("CPU", 0.1))
    path = write(account)
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=path)
    secure.wait_created(1)
    os.remove(path)
    go.set()
    words = program.hear("Failed to create profile", "WARNING")
    assert path in words and "check the credentials" in words
    program.hear("Failed to create profile", "DEBUG", count=2)
    write(account)
    secure.wait_updated(1)
    assert len(program.end()) == 1
    see_no_secret(program, account)


def test_a_key_that_is_refused_is_told_of_without_the_key(
    watch, secure, write, account
):
    words = "Request had invalid authentication credentials."
    secure.create_default = refuse(grpc.StatusCode.UNAUTHENTICATED, words)
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=write(account))
    assert words in program.hear("Failed to create profile", "WARNING")
    program.hear("Failed to create profile", "DEBUG", count=3)
    (warning,) = program.end()
    assert warning.endswith("check the credentials: the key may be deleted, expired or "
                            "of another project")
    see_no_secret(program, account)


@pytest.mark.parametrize(
    "content",
    [
        '{"type": "service_account", "private_key": "%s"' % HUSH,
        '["%s"]' % HUSH,
        json.dumps({"type": "impersonated_service_account", "x": HUSH}),
        json.dumps({"type": "authorized_user", "client_secret": HUSH}),
    ],
    ids=["broken", "a list", "of another type", "incomplete"],
)
def test_a_file_that_is_none_is_refused_by_start(watch, secure, tmp_path, content):
    path = tmp_path / "credentials.json"
    path.write_text(content)
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=str(path))
    kind, words = program.raised
    assert kind == "CredentialsError" and str(path) in words
    assert program.end() == []
    assert HUSH not in program.text()
    assert secure.created == []


def test_a_file_that_breaks_later_is_told_of_without_it(
    watch, secure, write, account, tmp_path
):
    """What core makes of it, start() having seen a good one."""
    go = threading.Event()
    secure.on_create.append(after(go, postpone(nanos=1)))
    path = write(account)
    program = watch(GOOGLE_APPLICATION_CREDENTIALS=path)
    secure.wait_created(1)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"private_key": "%s"' % HUSH)
    go.set()
    program.hear("Failed to create profile", "WARNING")
    assert len(program.end()) == 1
    see_no_secret(program, account)


USER = {
    "type": "authorized_user",
    "client_id": "client-id",
    "client_secret": "secret-" + HUSH,
    "refresh_token": "refresh-" + HUSH,
}
# Of this machine, and where nothing else of it listens.
OAUTH = "127.0.0.254"


@pytest.fixture
def oauth(authority, hosts):
    """What the program takes for https://oauth2.googleapis.com."""
    hosts.names({"oauth2.googleapis.com": OAUTH})
    try:
        server = TokenServer(authority, "token-" + HUSH, (OAUTH, 443))
    except PermissionError:
        pytest.skip("may not listen on port 443")
    with server:
        yield server


def test_a_users_file_is_exchanged_for_a_token(
    watch, secure, authority, write, hosts, oauth
):
    secure.on_create.append(assign("CPU", 0.1))
    program = watch(
        {"project_id": "p-1"},
        before=hosts.before,
        GOOGLE_APPLICATION_CREDENTIALS=write(dict(USER, quota_project_id="pays")),
    )
    (update,) = secure.wait_updated(1)
    (form,) = oauth.asked
    assert form["grant_type"] == "refresh_token"
    for field in ("client_id", "client_secret", "refresh_token"):
        assert form[field] == USER[field]
    for call in (update, secure.created[0]):
        assert call.metadata["authorization"] == "Bearer " + oauth.tokens[0]
        assert call.metadata["x-goog-user-project"] == "pays"
    assert program.end() == []
    see_no_secret(program, USER)


@pytest.fixture
def exchange(authority):
    """What the file itself names as its token endpoint."""
    with TokenServer(authority, "token-" + HUSH) as server:
        yield server


def test_a_users_token_is_fetched_through_the_proxy(watch, secure, write, exchange):
    url = exchange.url.replace("localhost", "not-here.test")
    with Proxy(to=exchange.port) as proxy:
        program = watch(
            {"project_id": "p-1"},
            GOOGLE_APPLICATION_CREDENTIALS=write(dict(USER, token_uri=url)),
            https_proxy="http://" + proxy.host,
            no_proxy="localhost",
        )
        # The certificate is of another name: that far it came.
        words = program.hear("Failed to create profile", "WARNING")
        assert "the token endpoint is not reached: SSLCertVerificationError" in words
        assert proxy.asked[0][0] == "not-here.test:%d" % exchange.port
        assert len(program.end()) == 1
        see_no_secret(program, USER)


def test_a_users_token_that_is_revoked_is_told_without_it(
    watch, secure, write, exchange
):
    exchange.status = 400
    exchange.answer = '{"error": "invalid_grant", "error_description": "%s"}' % HUSH
    path = write(dict(USER, token_uri=exchange.url))
    program = watch({"project_id": "p-1"}, GOOGLE_APPLICATION_CREDENTIALS=path)
    words = program.hear("Failed to create profile", "WARNING")
    assert "the token endpoint says 400 invalid_grant; check the credentials" in words
    assert len(program.end()) == 1
    see_no_secret(program, USER)
    assert secure.created == []


def test_a_users_endpoint_that_is_not_there_is_told(watch, secure, write):
    path = write(dict(USER, token_uri="https://localhost:1/token"))
    program = watch({"project_id": "p-1"}, GOOGLE_APPLICATION_CREDENTIALS=path)
    words = program.hear("Failed to create profile", "WARNING")
    assert "the token endpoint is not reached: ConnectionRefusedError" in words
    assert len(program.end()) == 1
    see_no_secret(program, USER)
    assert secure.created == []


@pytest.mark.parametrize("url", ["http://10.0.0.1/token", "ftp://localhost/token"])
def test_a_token_is_not_asked_for_in_plaintext(watch, secure, write, url):
    path = write(dict(USER, token_uri=url))
    program = watch({"project_id": "p-1"}, GOOGLE_APPLICATION_CREDENTIALS=path)
    words = program.hear("Failed to create profile", "WARNING")
    assert "the token endpoint is not at https://" in words
    assert len(program.end()) == 1


def test_an_endpoint_that_is_not_trusted_does_not_end_the_program(
    watch, secure, write, exchange, tmp_path
):
    """As behind a proxy that opens TLS. gRPC core 1.51, asked to exchange, crashes."""
    path = write(dict(USER, token_uri=exchange.url))
    program = watch(
        {"project_id": "p-1"},
        GOOGLE_APPLICATION_CREDENTIALS=path,
        SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt",
    )
    words = program.hear("Failed to create profile", "WARNING")
    assert "SSLCertVerificationError" in words
    assert len(program.end()) == 1


@pytest.fixture
def external(write, tmp_path):
    """external(url, **fields) is the path of an external account's file, whose own
    token is in a file, and asks at `url`."""
    (tmp_path / "subject").write_text("subject-" + HUSH)

    def run(url, **fields):
        content = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/pools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": url,
            "credential_source": {"file": str(tmp_path / "subject")},
        }
        return write(dict(content, **fields))

    return run


def test_an_external_account_exchanges_its_token(watch, secure, external):
    secure.on_create.append(assign("CPU", 0.1))
    with TokenServer(prefix="token-" + HUSH) as server:
        program = watch(
            {"project_id": "p-1"},
            GOOGLE_APPLICATION_CREDENTIALS=external(server.url),
        )
        (update,) = secure.wait_updated(1)
        (form,) = server.asked
        assert form["subject_token"] == "subject-" + HUSH
        assert form["audience"] == "//iam.googleapis.com/projects/1/pools/p/providers/q"
        assert form["scope"] == "https://www.googleapis.com/auth/monitoring.write"
        for call in (update, secure.created[0]):
            assert call.metadata["authorization"] == "Bearer " + server.tokens[0]
        assert program.end() == []
        assert HUSH not in program.text()


@pytest.mark.parametrize("hop", ["exchange", "impersonation"])
@pytest.mark.parametrize(
    "status, answer",
    [
        (200, '{"access_token": 7, "x": "%s"}' % HUSH),
        (200, '{"accessToken": 7, "x": "%s"}' % HUSH),
        (200, "{%s" % HUSH),
        (200, '"%s"' % HUSH),
        (400, '{"error": "invalid_grant", "error_description": "%s"}' % HUSH),
        (500, HUSH),
    ],
    ids=["no token", "odd token", "no JSON", "no object", "refused", "failed"],
)
def test_what_a_token_endpoint_says_wrong_is_in_no_message(
    watch, secure, external, hop, status, answer
):
    with TokenServer() as server, TokenServer() as second:
        bad = server if hop == "exchange" else second
        bad.status, bad.answer = status, answer
        fields = {"service_account_impersonation_url": second.url}
        path = external(server.url, **(fields if hop == "impersonation" else {}))
        program = watch({"project_id": "p-1"}, GOOGLE_APPLICATION_CREDENTIALS=path)
        program.hear("Failed to create profile", "WARNING")
        assert bad.asked
        assert len(program.end()) == 1
        assert HUSH not in program.text()
    assert secure.created == []


def test_a_subject_token_that_is_missing_is_told(
    watch, secure, external, tmp_path, put
):
    with TokenServer() as server:
        path = external(server.url)
        os.remove(str(tmp_path / "subject"))
        program = watch({"project_id": "p-1"}, GOOGLE_APPLICATION_CREDENTIALS=path)
        program.hear("Failed to create profile", "WARNING")
        put("subject", "again")
        secure.wait_created(1)
        assert len(program.end()) == 1


OBJECT = """
import datetime

class Credentials:
    def __init__(self):
        self.token = None
        self.expiry = None
        self.project_id = "object-project"
        self.quota_project_id = "object-pays"
        self.made = 0

    def refresh(self, request):
        self.made += 1
        if self.made <= told["failures"]:
            raise ValueError("the secret hush-hush is wrong")
        self.token = "token-hush-hush-%d" % self.made
        self.expiry = datetime.datetime.utcnow() + datetime.timedelta(seconds=3600)

_tokens._make_request = lambda: None
_tokens._RETRY_S = (0.2, 0.2)
_tokens._MAX_REST_S = 0.2
options["credentials"] = Credentials()
"""


def with_failures(nr):
    return ('told["failures"] = %d\n' % nr) + OBJECT


def test_an_objects_token_arrives(watch, secure):
    secure.on_create.append(assign("CPU", 0.1))
    program = watch(before=with_failures(0))
    (update,) = secure.wait_updated(1)
    create = secure.created[0]
    for call in (create, update):
        assert call.metadata["authorization"] == "Bearer token-hush-hush-1"
        assert call.metadata["x-goog-user-project"] == "object-pays"
    assert create.request.parent == "projects/object-project"
    assert program.end() == []
    assert HUSH not in program.text()


def test_an_objects_token_that_is_refused_is_replaced(watch, secure):
    secure.on_create.append(refuse(grpc.StatusCode.UNAUTHENTICATED, "old"))
    secure.on_create.append(assign("CPU", 0.1))
    program = watch(before=with_failures(0))
    secure.wait_updated(1)
    seen = [call.metadata["authorization"][-2:] for call in secure.created[:2]]
    assert seen == ["-1", "-2"]
    warning, *others = program.end()
    assert "check the credentials" in warning
    # The next try may come before the thread has looked.
    assert all("give no token" in other for other in others)
    assert HUSH not in program.text()


def test_an_object_that_fails_is_told_by_the_kind_of_its_failure(watch, secure):
    secure.on_create.append(assign("CPU", 0.1))
    program = watch(before=with_failures(3))
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith("the credentials give no token: ValueError")
    secure.wait_updated(1)
    assert len(program.end()) == 1
    assert HUSH not in program.text()


def test_google_auths_own_object_gives_the_token(watch, secure, account):
    pytest.importorskip("google.auth.transport.requests")
    secure.on_create.append(assign("CPU", 0.1))
    with TokenServer(prefix="token-" + HUSH) as server:
        info = dict(account, token_uri=server.url)
        before = (
            "from google.oauth2 import service_account\n"
            "make = service_account.Credentials.from_service_account_info\n"
            "options['credentials'] = make(json.loads(%r))\n" % json.dumps(info)
        )
        program = watch(before=before)
        secure.wait_updated(1)
        create = secure.created[0]
        assert create.metadata["authorization"] == "Bearer " + server.tokens[0]
        assert create.request.parent == "projects/key-project"
        claims = server.asked[0]["assertion"].split(".")[1]
        scope = json.loads(decode(claims).decode())["scope"]
        assert scope == "https://www.googleapis.com/auth/monitoring.write"
        assert program.end() == []
        see_no_secret(program, account)
