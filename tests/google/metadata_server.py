"""A local imitation of Google Cloud's metadata server.

    with MetadataServer(zone="europe-west1-b") as server:
        os.environ["GCE_METADATA_HOST"] = server.host    # "127.0.0.1:port"
        ...
        server.calls["instance/zone"]

Faults and values may be set at any time; they hold from the next request on.
"""

import collections
import http.server
import json
import socketserver
import threading

ROOT = "/computeMetadata/v1/"
ACCOUNT = "instance/service-accounts/default/"
FLAVOR = "Metadata-Flavor"

# So long, at most, does anything here wait for a client or for the end.
PATIENCE_S = 60


class MetadataServer:
    """The server and its knobs; a context manager.

    project, zone, instance, email: values. instance None is a 404, as on Cloud Run
        and App Engine; so is email None, as without a service account.
    token_life_s: what a token says of itself; each request gets a new token, and
        `tokens` is the list of those given out.

    values: {key: text or bytes} comes before all of these.
    missing: set of keys that are 404.
    delay_s: seconds before each answer.
    hang: no answer at all as long as it is true.
    busy: so many requests from now on are 429.
    status: answer everything by this, with a text.
    redirect: answer everything by a 302 to this URL.
    flood: so many bytes more after each value.
    flavor: what replies say in "Metadata-Flavor"; None to say nothing.

    calls: a Counter of requests by key, those refused too; `refused` counts the ones
        that had no "Metadata-Flavor: Google".
    """

    def __init__(
        self,
        project="test-project",
        zone="us-central1-a",
        instance="test-instance",
        email="test@test-project.iam.gserviceaccount.com",
        token_life_s=3599,
    ):
        self.project = project
        self.zone = zone
        self.instance = instance
        self.email = email
        self.token_life_s = token_life_s
        self.values = {}
        self.missing = set()
        self.delay_s = 0
        self.hang = False
        self.busy = 0
        self.status = None
        self.redirect = None
        self.flood = 0
        self.flavor = "Google"
        self.calls = collections.Counter()
        self.refused = 0
        self.tokens = []
        self._lock = threading.Lock()  # protects the counters and `tokens`
        self._ended = threading.Event()
        self._server = None
        self._thread = None

    @property
    def host(self):
        """Where it listens, as GCE_METADATA_HOST has it."""
        return "%s:%d" % self._server.server_address

    def __enter__(self):
        self._ended.clear()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.metadata = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.daemon = True
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self):
        """Sleep as the knobs say. False: give no answer."""
        if self.hang:
            self._ended.wait(PATIENCE_S)
            return False
        return not (self.delay_s and self._ended.wait(self.delay_s))

    def count(self, key, is_proper):
        """Count a request. True: it is one too many."""
        with self._lock:
            self.calls[key] += 1
            self.refused += not is_proper
            is_busy = self.busy > 0
            self.busy -= is_busy
        return is_busy

    def value(self, key):
        """The value of `key` and its content type; (None, None) without one."""
        if key in self.missing:
            return None, None
        if key in self.values:
            return self.values[key], "application/text"
        if key == ACCOUNT + "token" and self.email:
            return self._token(), "application/json"
        path = "projects/123456789012/zones/%s"
        known = {
            "project/project-id": self.project,
            "instance/zone": self.zone and path % self.zone,
            "instance/name": self.instance,
            ACCOUNT + "email": self.email,
        }
        return known.get(key), "application/text"

    def _token(self):
        with self._lock:
            token = "ya29.c.test-token-%d" % (len(self.tokens) + 1)
            self.tokens.append(token)
        return json.dumps(
            {
                "access_token": token,
                "expires_in": self.token_life_s,
                "token_type": "Bearer",
            },
            separators=(",", ":"),
        )


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
    metadata = None

    def server_bind(self):
        # HTTPServer's own asks the DNS for the name of the machine.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        """A client that went away is none of our errors."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S

    def do_GET(self):
        server = self.server.metadata
        path = self.path.split("?")[0]
        key = path[len(ROOT) :] if path.startswith(ROOT) else path
        is_proper = self.headers.get(FLAVOR) == "Google"
        is_busy = server.count(key, is_proper)
        if not server.wait():
            self.close_connection = True
            return
        if server.redirect:
            self.answer(302, "", "text/html", location=server.redirect)
        elif server.status:
            self.fail(server.status)
        elif is_busy:
            self.fail(429)
        elif not is_proper or "X-Forwarded-For" in self.headers:
            self.fail(403)
        else:
            self.give(key)

    def give(self, key):
        text, kind = self.server.metadata.value(key)
        if text is None:
            self.fail(404)
            return
        self.answer(200, text, kind)

    def fail(self, status):
        words = self.responses.get(status, ("Error",))[0]
        page = "<!DOCTYPE html>\n<html><title>Error %d (%s)!!1</title></html>\n"
        self.answer(status, page % (status, words), "text/html; charset=UTF-8")

    def answer(self, status, text, kind, location=None):
        body = text if isinstance(text, bytes) else text.encode("utf-8")
        if status == 200:
            body += b"x" * self.server.metadata.flood
        self.send_response(status)
        if self.server.metadata.flavor is not None:
            self.send_header(FLAVOR, self.server.metadata.flavor)
        self.send_header("Content-Type", kind)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-XSS-Protection", "0")
        self.send_header("X-Frame-Options", "SAMEORIGIN")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self):
        return "Metadata Server for VM"

    def log_message(self, *unused):
        pass
