"""The service with TLS, by a certificate authority of the tests' own."""

import grpc
from fake_service import FakeService
from fixtures import openssl

NAMES = (
    "subjectAltName=DNS:localhost,DNS:profiler.test,DNS:oauth2.googleapis.com,"
    "IP:127.0.0.1,IP:::1\n"
)


class Authority:
    """A CA in a folder: `ca` is the path of its certificate; `key` and `chain` those
    of a certificate by it for this machine, by NAMES."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        self.key = str(folder / "key.pem")
        self.chain = str(folder / "chain.pem")
        (folder / "names").write_text(NAMES)
        new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        self._openssl(
            "req -x509 %s -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=Tests" % new
        )
        self._openssl(
            "req %s -keyout key.pem -out request.pem -subj /CN=localhost" % new
        )
        self._openssl(
            "x509 -req -in request.pem -days 2 -CA ca.pem -CAkey ca-key.pem"
            " -CAcreateserial -extfile names -out chain.pem"
        )

    def subject_hash(self):
        """What OpenSSL calls the CA's certificate in a folder, less the ".0"."""
        return self._openssl("x509 -in ca.pem -noout -hash").strip()

    def _openssl(self, arguments):
        return openssl(self.folder, *arguments.split())


class SecureService(FakeService):
    """A FakeService with TLS; `endpoint` begins with https://."""

    def __init__(self, authority, port=0, host="127.0.0.1"):
        with open(authority.key, "rb") as key, open(authority.chain, "rb") as chain:
            pair = (key.read(), chain.read())
        super().__init__(grpc.ssl_server_credentials([pair]), port, host=host)
        self.endpoint = "https://localhost:%d" % self.port
