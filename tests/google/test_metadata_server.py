"""The imitation of the metadata server answers as the real one does."""

import contextlib
import http.client
import json
import socket

import pytest
from metadata_server import ACCOUNT, MetadataServer

ROOT = "/computeMetadata/v1/"
PROPER = {"Metadata-Flavor": "Google"}


@pytest.fixture
def server():
    with MetadataServer() as s:
        yield s


def get(server, key, headers=PROPER, timeout=30):
    """The status, the headers and the body that the server has for `key`."""
    connection = http.client.HTTPConnection(server.host, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("GET", ROOT + key, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()


def test_values_are_plain_text_in_googles_flavor(server):
    status, headers, body = get(server, "project/project-id")
    assert (status, body) == (200, b"test-project")
    assert headers["Metadata-Flavor"] == "Google"
    assert headers["Server"] == "Metadata Server for VM"
    assert headers["Content-Type"] == "application/text"
    assert get(server, "instance/name")[2] == b"test-instance"
    zone = get(server, "instance/zone")[2]
    assert zone == b"projects/123456789012/zones/us-central1-a"
    assert get(server, ACCOUNT + "email")[2].startswith(b"test@test-project.")


def test_each_request_gets_a_new_token(server):
    for number in (1, 2):
        status, headers, body = get(server, ACCOUNT + "token?scopes=x")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        token = json.loads(body.decode())
        assert token["access_token"] == server.tokens[-1]
        assert (token["expires_in"], token["token_type"]) == (3599, "Bearer")
        assert server.calls[ACCOUNT + "token"] == len(server.tokens) == number


def test_a_request_without_the_flavor_is_forbidden(server):
    assert get(server, "instance/zone", headers={})[0] == 403
    forwarded = dict(PROPER, **{"X-Forwarded-For": "10.0.0.1"})
    assert get(server, "instance/zone", headers=forwarded)[0] == 403
    assert (server.refused, server.calls["instance/zone"]) == (1, 2)


def test_what_is_not_there_is_404(server):
    server.instance = server.email = None
    server.missing.add("instance/zone")
    for key in (
        "instance/name",
        "instance/zone",
        "instance/other",
        ACCOUNT + "email",
        ACCOUNT + "token",
    ):
        status, headers, _ = get(server, key)
        assert (status, headers["Metadata-Flavor"]) == (404, "Google")


def test_faults_are_as_asked_for(server):
    server.busy = 2
    statuses = [get(server, "instance/zone")[0] for _ in range(3)]
    assert statuses == [429, 429, 200]
    server.flavor = None
    assert get(server, "instance/zone")[1]["Metadata-Flavor"] is None
    server.flavor = "Google"
    server.values["instance/zone"] = "two\nlines"
    server.flood = 3 << 20
    assert get(server, "instance/zone")[2][:12] == b"two\nlinesxxx"
    assert len(get(server, "instance/zone")[2]) == 9 + (3 << 20)
    server.status = 503
    assert get(server, "instance/zone")[0] == 503
    server.redirect = "http://127.0.0.1:1/"
    status, headers, _ = get(server, "instance/zone")
    assert (status, headers["Location"]) == (302, "http://127.0.0.1:1/")


def test_a_hang_says_nothing_and_does_not_outlast_the_server():
    with MetadataServer() as server:
        server.hang = True
        with pytest.raises(socket.timeout):
            get(server, "instance/zone", timeout=0.1)
        server.hang = False
        server.delay_s = 0.01
        assert get(server, "instance/zone")[0] == 200
        host, port = server.host.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)
