"""The neighbours: packages with a gRPC core, an OpenSSL or a protobuf of their own,
each doing what it does with them.

A neighbour is made with the folder of the certificates, in the order in which a program
would import and set it up; once() does it once, facts() is what must not depend on who
else is there, close() ends it.
"""

import os
import socket
import threading


class Grpcio:
    """Calls to a server in the same process, over TLS."""

    def __init__(self, folder):
        from concurrent import futures

        import grpc

        def read(name):
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()

        handler = grpc.unary_unary_rpc_method_handler(lambda data, context: data)
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", {"Echo": handler}),)
        )
        port = self._server.add_secure_port(
            "127.0.0.1:0",
            grpc.ssl_server_credentials([(read("key.pem"), read("chain.pem"))]),
        )
        self._server.start()
        self._target = "localhost:%d" % port
        self._credentials = grpc.ssl_channel_credentials(read("ca.pem"))
        self._secure_channel = grpc.secure_channel
        self._version = grpc.__version__

    def once(self):
        with self._secure_channel(self._target, self._credentials) as channel:
            assert channel.unary_unary("/test.Echo/Echo")(b"words", timeout=60) == (
                b"words"
            )

    def facts(self):
        return self._version

    def close(self):
        # Without a grace, it cancels, and its client may live to say so on stderr.
        self._server.stop(60).wait()


class Ssl:
    """The standard library's: a connection with both ends here."""

    def __init__(self, folder):
        import ssl

        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(
            os.path.join(folder, "chain.pem"), os.path.join(folder, "key.pem")
        )
        self._client = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
        self._version = ssl.OPENSSL_VERSION
        self._spoken = None

    def once(self):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(theirs,))
        thread.start()
        with self._client.wrap_socket(ours, server_hostname="localhost") as secure:
            secure.sendall(b"words")
            assert secure.recv(5) == b"words"
            self._spoken = secure.version(), secure.cipher()[0]
        thread.join()

    def _serve(self, end):
        with self._server.wrap_socket(end, server_side=True) as secure:
            secure.sendall(secure.recv(5))

    def facts(self):
        return self._version, self._spoken

    def close(self):
        pass


class Cryptography:
    """Signs, and checks what it signed and the CA did."""

    def __init__(self, folder):
        from cryptography import x509
        from cryptography.hazmat.backends.openssl import backend
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        with open(os.path.join(folder, "key.pem"), "rb") as file:
            self._key = serialization.load_pem_private_key(file.read(), None)
        with open(os.path.join(folder, "ca.pem"), "rb") as file:
            self._ca = x509.load_pem_x509_certificate(file.read())
        with open(os.path.join(folder, "chain.pem"), "rb") as file:
            self._certificate = x509.load_pem_x509_certificate(file.read())
        self._algorithm = ec.ECDSA(hashes.SHA256())
        self._version = backend.openssl_version_text

    def once(self):
        signature = self._key.sign(b"words", self._algorithm)
        self._key.public_key().verify(signature, b"words", self._algorithm)
        self._certificate.verify_directly_issued_by(self._ca)

    def facts(self):
        return self._version()

    def close(self):
        pass


class Protobuf:
    """Messages there and back, by its own parser in C."""

    def __init__(self, folder):
        from google.protobuf import descriptor_pb2, struct_pb2
        from google.protobuf.internal import api_implementation

        self._struct = struct_pb2.Struct
        self._file = descriptor_pb2.FileDescriptorProto
        self._kind = api_implementation.Type

    def once(self):
        message = self._struct()
        message.update({"words": ["one", 2, None, True], "in": {"words": 0.5}})
        assert self._struct.FromString(message.SerializeToString()) == message
        own = self._file.FromString(self._struct.DESCRIPTOR.file.serialized_pb)
        assert own.package == "google.protobuf"

    def facts(self):
        return self._kind()

    def close(self):
        pass


class Psycopg:
    """Asks a database, with the libpq and the libssl that came along."""

    def __init__(self, folder):
        import psycopg

        self._connect = psycopg.connect
        self._where = "%s sslmode=verify-full sslrootcert=%s" % (
            os.environ["CPROF_DATABASE"],
            os.path.join(folder, "ca.pem"),
        )
        self._kind = psycopg.pq.__impl__, psycopg.pq.version()

    def once(self):
        with self._connect(self._where, autocommit=True) as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.execute("select 1").fetchone() == (1,)

    def facts(self):
        return self._kind

    def close(self):
        pass


NEIGHBOURS = (Grpcio, Ssl, Cryptography, Protobuf, Psycopg)
