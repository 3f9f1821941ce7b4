"""Whose certificates count: where they are looked for, and that they may come later."""

import os
import shutil

import pytest
from fake_service import assign

NONE = "no CA certificates found: install the ca-certificates package"


@pytest.fixture
def begin(watch, key_file):
    """begin(patch={}, before="", **environ) runs a program that has credentials, and
    of certificates what is given."""

    def run(patch=None, before="", **environ):
        environ.setdefault("SSL_CERT_FILE", None)
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = key_file
        return watch(patch=patch, before=before, **environ)

    return run


@pytest.fixture
def right(authority):
    """The certificates that make the service one to trust."""
    with open(authority.ca, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def bare():
    """The patch for a system without any certificates, and without certifi."""
    return {"_network._BUNDLES": [], "_network._FOLDERS": []}


NO_CERTIFI = "_network._find_certifi = lambda: ()"


@pytest.fixture
def folder(tmp_path, authority):
    """A folder as c_rehash leaves it."""
    path = tmp_path / "certs"
    path.mkdir()
    (path / "README").write_text("not a certificate")
    shutil.copy(authority.ca, str(path / "tests.pem"))
    os.symlink("tests.pem", str(path / (authority.subject_hash() + ".0")))
    return str(path)


@pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]
)
def test_a_variable_names_them(begin, secure, authority, folder, variable):
    value = folder if variable == "SSL_CERT_DIR" else authority.ca
    program = begin(**{variable: value})
    secure.wait_created(1)
    assert program.end() == []


def test_the_variable_of_the_agents_core_goes_first(begin, secure, authority, tmp_path):
    (tmp_path / "other.pem").write_text("none\n")
    program = begin(
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=authority.ca,
        SSL_CERT_FILE=str(tmp_path / "other.pem"),
    )
    secure.wait_created(1)
    assert program.end() == []


def test_a_file_without_certificates_leaves_it_to_the_folder(
    begin, secure, folder, tmp_path
):
    (tmp_path / "empty.pem").write_text("")
    program = begin(SSL_CERT_FILE=str(tmp_path / "empty.pem"), SSL_CERT_DIR=folder)
    secure.wait_created(1)
    assert program.end() == []


def test_the_systems_bundle_counts_without_a_variable(
    begin, secure, authority, tmp_path, bare
):
    bundles = [str(tmp_path / "none.pem"), authority.ca]
    program = begin(dict(bare, **{"_network._BUNDLES": bundles}), NO_CERTIFI)
    secure.wait_created(1)
    assert program.end() == []


def test_the_systems_folder_counts_without_a_bundle(begin, secure, folder, bare):
    program = begin(dict(bare, **{"_network._FOLDERS": [folder]}), NO_CERTIFI)
    secure.wait_created(1)
    assert program.end() == []


def test_certifi_is_the_last_resort_and_not_imported(
    begin, secure, authority, tmp_path, bare
):
    package = tmp_path / "site" / "certifi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    shutil.copy(authority.ca, str(package / "cacert.pem"))
    program = begin(bare, PYTHONPATH=str(tmp_path / "site"))
    secure.wait_created(1)
    assert program.end() == []


def test_without_any_there_is_one_warning_until_they_come(
    begin, secure, right, put, tmp_path, bare
):
    path = str(tmp_path / "bundle.pem")
    secure.on_create.append(assign("CPU", 0.1))
    program = begin(dict(bare, **{"_network._BUNDLES": [path]}), NO_CERTIFI)
    assert NONE in program.hear("Failed to create profile", "WARNING")
    program.hear("Failed to create profile", "DEBUG", count=3)
    put("bundle.pem", right)
    secure.wait_updated(1)
    assert len(program.end()) == 1


def test_without_any_place_there_is_the_same_warning(begin, secure, bare):
    program = begin(bare, NO_CERTIFI)
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith(NONE + ", or name a file of them in SSL_CERT_FILE")
    assert len(program.end()) == 1


@pytest.mark.parametrize("content", [None, "", "no certificate\n", "\0" * 5000])
def test_a_variable_that_names_none_is_no_reason_to_trust_others(
    begin, secure, tmp_path, content
):
    if content is not None:
        (tmp_path / "bundle.pem").write_text(content)
    program = begin(SSL_CERT_FILE=str(tmp_path / "bundle.pem"))
    assert NONE in program.hear("Failed to create profile", "WARNING")
    assert len(program.end()) == 1
    assert secure.created == []


def test_certificates_that_are_broken_are_told_once(begin, secure, right, put):
    mark = "-----%s CERTIFICATE-----\n"
    path = put("bundle.pem", mark % "BEGIN" + "AAAA\n" + mark % "END")
    program = begin(SSL_CERT_FILE=path)
    program.hear("Failed to create profile", "WARNING")
    program.hear("Failed to create profile", "DEBUG", count=2)
    put("bundle.pem", right)
    secure.wait_created(1)
    assert len(program.end()) == 1


def test_a_broken_certificate_does_not_spoil_the_others(begin, secure, right, put):
    mark = "-----%s CERTIFICATE-----\n"
    path = put("bundle.pem", right + mark % "BEGIN" + "AAAA\n" + mark % "END")
    program = begin(SSL_CERT_FILE=path)
    secure.wait_created(1)
    assert program.end() == []


def test_who_is_not_trusted_is_told_with_what_to_do(
    begin, secure, right, put, tmp_path
):
    """Until the right certificate is there, which takes no restart."""
    path = str(tmp_path / "bundle.pem")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", path)
    program = begin(SSL_CERT_FILE=path)
    words = program.hear("Failed to create profile", "WARNING")
    assert words.endswith(
        "check SSL_CERT_FILE: whoever opens TLS on the way, as a company's proxy does, "
        "needs its CA there"
    )
    put("bundle.pem", right)
    secure.wait_created(1)
    assert len(program.end()) == 1
