"""The REST service that the original agent speaks to, as far as it needs it: the
discovery document, tokens, and the two calls. Over TLS, at https://localhost:port."""

import http.server
import json
import os
import socketserver
import ssl
import threading

PROJECT = "key-project"
# Where the original's libraries keep what the discovery service says.
DOCUMENT = os.path.join(
    "googleapiclient", "discovery_cache", "documents", "cloudprofiler.v2.json"
)


class RestService:
    """`site` is the folder where the original is installed; `authority` has the
    certificate. `plan` is a list of (type, seconds) to ask for; once it is empty a
    call of create waits. `on_call(method)` hears of each as it comes."""

    def __init__(self, site, authority, on_call):
        self.plan = []
        self.on_call = on_call
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain, authority.key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = "https://localhost:%d/" % self._server.server_address[1]
        with open(os.path.join(site, DOCUMENT), encoding="utf-8") as file:
            document = json.load(file)
        document.update(rootUrl=self.url, baseUrl=self.url)
        self.document = document

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        ).start()
        return self

    def __exit__(self, *failure):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    service = None

    def handle_error(self, request, client_address):
        """A client that went away is none of our errors."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # As a server of the field does it: no answer waits for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self.answer(self.server.service.document)

    def do_PATCH(self):
        self.body()
        self.server.service.on_call("UpdateProfile")
        self.answer({})

    def do_POST(self):
        service = self.server.service
        self.body()
        if self.path == "/token":
            token = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
            self.answer(token)
            return
        service.on_call("CreateProfile")
        if not service.plan:
            service.ended.wait()
            return
        kind, seconds = service.plan.pop(0)
        self.answer(
            {
                "name": "projects/%s/profiles/1" % PROJECT,
                "profileType": kind,
                "duration": "%gs" % seconds,
            }
        )

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *unused):
        pass
