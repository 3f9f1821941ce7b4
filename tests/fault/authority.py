"""Certificates of every kind, from a CA of the tests' own, and a key to sign tokens
with: made by the openssl command, once."""

import atexit
import functools
import pathlib
import shutil
import ssl
import tempfile
import threading

import grpc
from fixtures import make_key_file, openssl

CONFIG = """
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = supplied
"""

# name: (what the certificate is for, valid from, valid to, signed by the CA)
PAST, NOW, FUTURE = "20200101000000Z", "20200102000000Z", "20990101000000Z"
CERTIFICATES = {
    "good": ("DNS:localhost", PAST, FUTURE),
    "other-name": ("DNS:other.test", PAST, FUTURE),
    "wildcard": ("DNS:*.localhost", PAST, FUTURE),
    "expired": ("DNS:localhost", PAST, NOW),
    "not-yet": ("DNS:localhost", "20980101000000Z", FUTURE),
}

_lock = threading.Lock()


class Authority:
    """A folder with ca.pem, a key file, and NAME.pem with NAME-key.pem."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, str(self.folder))
        self.key_file = make_key_file(self.folder)
        self.roots = str(self.folder / "ca.pem")
        (self.folder / "ca.cnf").write_text(CONFIG)
        (self.folder / "index.txt").write_text("")
        self._sign_itself("ca", "Test CA", "basicConstraints=critical,CA:true")
        self._sign_itself("self-signed", "localhost", "subjectAltName=DNS:localhost")
        self._sign_itself("stranger", "Other CA", "basicConstraints=critical,CA:true")
        for name, (names, begin, end) in CERTIFICATES.items():
            self._sign(name, names, begin, end, "ca")
        self._sign("unknown-ca", "DNS:localhost", PAST, FUTURE, "stranger")

    def _sign_itself(self, name, subject, extension):
        openssl(
            self.folder,
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", name + "-key.pem", "-out", name + ".pem"),
            *("-subj", "/CN=" + subject, "-addext", extension),
        )

    def _sign(self, name, names, begin, end, by):
        (self.folder / "ext").write_text("subjectAltName=%s\n" % names)
        openssl(
            self.folder,
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name),
            *("-keyout", name + "-key.pem", "-out", name + ".csr"),
        )
        openssl(
            self.folder,
            *("ca", "-batch", "-config", "ca.cnf", "-in", name + ".csr"),
            *("-cert", by + ".pem", "-keyfile", by + "-key.pem", "-notext"),
            *("-startdate", begin, "-enddate", end, "-extfile", "ext"),
            *("-out", name + ".pem"),
        )

    def path(self, name):
        return str(self.folder / name)

    def environment(self, **more):
        """What a program needs to trust the CA and to have credentials."""
        return dict(
            {
                "GOOGLE_APPLICATION_CREDENTIALS": self.key_file,
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": self.roots,
            },
            **more
        )

    def grpc_credentials(self, name="good"):
        key = (self.folder / (name + "-key.pem")).read_bytes()
        chain = (self.folder / (name + ".pem")).read_bytes()
        return grpc.ssl_server_credentials([(key, chain)])

    def context(self, name="good", protocols=("h2",)):
        """For servers of Python's ssl module."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + "-key.pem"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


@functools.lru_cache(maxsize=None)
def _only():
    return Authority()


def authority():
    """The one of this run."""
    with _lock:
        return _only()
