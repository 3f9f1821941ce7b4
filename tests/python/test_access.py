"""Who may call the local service: what is made of the files that say so."""

import os
import socket
import subprocess

import pytest
from googlecloudprofiler import _access, _cli, _serve

_native = pytest.importorskip("googlecloudprofiler._native")

HUSH = "hush-hush-0123456789"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """With cert.pem and key.pem, the key of another one, and locked.pem, which is the
    same key with a password."""
    path = tmp_path_factory.mktemp("access")
    new = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x"
    for command in (
        new + " -keyout key.pem -out cert.pem",
        new + " -keyout other-key.pem -out other.pem",
        "openssl pkey -in key.pem -aes128 -passout pass:hush -out locked.pem",
    ):
        subprocess.run(
            command.split(),
            cwd=str(path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
            check=True,
        )
    return path


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text(HUSH + "\n")
    path.chmod(0o600)
    return str(path)


def test_nothing_named_is_anybody():
    assert _access.find(_native) == _access.ANYBODY == (None, None, None, None)


def test_files_that_serve(folder, token):
    access = _access.find(
        _native, str(folder / "cert.pem"), str(folder / "key.pem"), token
    )
    assert access.certificate == (folder / "cert.pem").read_text()
    assert access.key == (folder / "key.pem").read_text()
    assert access.token == HUSH


@pytest.mark.parametrize(
    "cert, key, words",
    [
        ("cert.pem", "other-key.pem", "must belong to it"),
        ("cert.pem", "locked.pem", "no password"),
        ("key.pem", "key.pem", "cannot use the certificate"),
        ("cert.pem", "cert.pem", "cannot use the certificate"),
        ("none.pem", "key.pem", "none.pem': No such file or directory"),
        ("cert.pem", "none.pem", "none.pem': No such file or directory"),
        (".", "key.pem", "Is a directory"),
        ("empty", "key.pem", "is no PEM file"),
    ],
)
def test_files_that_do_not_are_told_in_words(folder, cert, key, words):
    (folder / "empty").write_text("")
    with pytest.raises(_access.AccessError) as refused:
        _access.find(_native, str(folder / cert), str(folder / key))
    assert words in str(refused.value)
    for line in (folder / "key.pem").read_text().splitlines():
        assert line not in str(refused.value)


def test_a_pair_that_core_alone_would_refuse_is_no_address_in_use(folder):
    pem = (folder / "cert.pem").read_text()
    other = (folder / "other-key.pem").read_text()
    with pytest.raises(_serve.ServeError, match="are no pair"):
        _serve.open_server("127.0.0.1:0", _access.Access(pem, other, None, None))


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "[::]:0", "localhost.:0", "192.0.2.1:0"]
)
@pytest.mark.parametrize("lacks", ["certificate", "token", "all"])
def test_addresses_off_loopback_need_all_three(folder, token, address, lacks):
    pair = [str(folder / "cert.pem"), str(folder / "key.pem")]
    files = {
        "certificate": [None, None, token],
        "token": [*pair, None],
        "all": [None, None, None],
    }
    access = _access.find(_native, *files[lacks])
    with pytest.raises(_serve.ServeError) as refused:
        _serve.open_server(address, access)
    for option in ("--tls-cert", "--tls-key", "--token"):
        assert option in str(refused.value)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "[::]:0", "127.0.0.1:0", "localhost:0"]
)
def test_with_all_three_any_address_serves(folder, token, address):
    access = _access.find(
        _native, str(folder / "cert.pem"), str(folder / "key.pem"), token
    )
    server = _serve.open_server(address, access)
    assert server.port > 0
    server.close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_all_addresses_are_those_of_both_kinds(folder, token, address):
    access = _access.find(
        _native, str(folder / "cert.pem"), str(folder / "key.pem"), token
    )
    server = _serve.open_server(address, access)
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, server.port), 30).close()
    server.close()


@pytest.mark.parametrize(
    "address", ["example.com", "a b:1", "::1:80", "[::1:80", "[x]:1", "dns:///x:1",
                "", ":1", "x:65536", "unix:", "x" * 300 + ":1"]
)
def test_what_is_no_address_stays_none(folder, token, address):
    access = _access.find(
        _native, str(folder / "cert.pem"), str(folder / "key.pem"), token
    )
    with pytest.raises(_serve.ServeError):
        _serve.open_server(address, access)


def test_a_unix_socket_has_no_certificate(folder, token, tmp_path):
    pair = str(folder / "cert.pem"), str(folder / "key.pem")
    address = "unix:%s" % (tmp_path / "s")
    with pytest.raises(_serve.ServeError, match="in plaintext"):
        _serve.open_server(address, _access.find(_native, *pair))
    _serve.open_server(address, _access.find(_native, None, None, token)).close()


@pytest.mark.parametrize("option", ["--tls-cert", "--tls-key"])
def test_one_of_a_pair_is_a_wrong_argument(option, capsys):
    assert _cli.main(["serve", option, "x.pem"]) == 2
    assert "--tls-cert and --tls-key go together" in capsys.readouterr().err


def test_a_token_that_is_missing_ends_the_service_at_once(tmp_path, capsys):
    path = str(tmp_path / "none")
    assert _cli.main(["serve", "--store", str(tmp_path), "--token", path]) == 1
    assert "cannot read a token: cannot open '%s'" % path in capsys.readouterr().err


def test_a_secret_that_all_can_read_is_told_of(token, monkeypatch, capsys):
    served = []
    monkeypatch.setattr(_serve, "serve", lambda *a, **k: served.append(k["access"]))
    os.chmod(token, 0o644)
    _cli.main(["serve", "--token", token])
    words = "every user of this host can read '%s': take that away by chmod o-r" % token
    assert words in capsys.readouterr().err
    os.chmod(token, 0o640)
    _cli.main(["serve", "--token", token])
    assert capsys.readouterr().err == ""
    assert served == [(None, None, None, HUSH)] * 2
