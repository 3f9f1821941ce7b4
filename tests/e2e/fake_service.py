"""A Profiler service to hold the agent against: PyPI's grpcio and classes that
protobuf's own compiler makes from protos/, so that neither is of our making.

A test scripts the replies; everything received is kept.
"""

import collections
import contextlib
import importlib
import os
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc
from grpc_tools import protoc

PROTOS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "protos",
)
SERVICE = "google.devtools.cloudprofiler.v2.ProfilerService"

# As long as a test may wait for anything; what comes, comes much sooner. It is more
# than the first backoff, should a first connection fail on a machine that is busy.
PATIENCE_S = 75

# More than a test has calls in the air: each holds a thread.
WORKERS = 32


def _generate():
    with tempfile.TemporaryDirectory() as directory:
        files = sorted(os.listdir(PROTOS))
        status = protoc.main(
            ["protoc", "-I" + PROTOS, "--python_out=" + directory, *files]
        )
        if status:
            raise RuntimeError("protoc ended with status %d" % status)
        sys.path.insert(0, directory)
        try:
            names = ("cloudprofiler_pb2", "pprof_pb2", "status_pb2")
            return [importlib.import_module(name) for name in names]
        finally:
            sys.path.remove(directory)


api, pprof, rpc = _generate()


class Refusal(Exception):
    """What a reply raises to answer with a status other than OK."""

    def __init__(self, code, words="", trailers=()):
        super().__init__(words)
        self.code = code
        self.words = words
        self.trailers = trailers


class Call:
    """One call as it came. `remaining_s` is its deadline as seen on arrival;
    `ended` is set once it is answered, cancelled or broken off."""

    def __init__(self, message, raw, context):
        self.raw = raw
        self.request = message.FromString(raw)
        self.metadata = dict(context.invocation_metadata())
        self.peer = context.peer()
        self.remaining_s = context.time_remaining()
        self.ended = threading.Event()
        if not context.add_callback(self.ended.set):
            self.ended.set()


def assign(kind="CPU", seconds=1.0, name="projects/local/profiles/1", **fields):
    """Reply to CreateProfile: collect this."""

    def reply(call):
        whole, part = divmod(round(seconds * 10**9), 10**9)
        return api.Profile(
            name=name,
            profile_type=kind,
            deployment=call.request.deployment,
            duration=api.Duration(seconds=whole, nanos=part),
            **fields
        ).SerializeToString()

    return reply


def raw(data):
    """Reply with these bytes, whatever they mean."""
    return lambda call: data


def refuse(code, words="", trailers=()):
    def reply(call):
        raise Refusal(code, words, trailers)

    return reply


def postpone(seconds=0, nanos=0):
    """Reply to CreateProfile: ask again after so long."""
    delay = rpc.RetryInfo.Delay(seconds=seconds, nanos=nanos)
    info = rpc.RetryInfo(retry_delay=delay).SerializeToString()
    return refuse(
        grpc.StatusCode.ABORTED,
        "generic::aborted: action throttled, backoff for %ds" % seconds,
        (("google.rpc.retryinfo-bin", info),),
    )


def hang(call):
    """Never reply: the client has to end it."""
    call.ended.wait()
    raise Refusal(grpc.StatusCode.CANCELLED)


def after(event, reply):
    """Reply so once `event` is set, if the client is still there."""

    def wait_and_reply(call):
        if not event.wait(PATIENCE_S):
            return hang(call)
        return reply(call)

    return wait_and_reply


def accept(call):
    """Reply to UpdateProfile: taken."""
    profile = api.Profile()
    profile.CopyFrom(call.request.profile)
    profile.ClearField("profile_bytes")
    return profile.SerializeToString()


class FakeService:
    """The server. `on_create` and `on_update` are queues of replies; when they are
    empty `create_default` and `update_default` answer."""

    def __init__(self, credentials=None, port=0, unix=None, host="127.0.0.1"):
        self.created = []
        self.updated = []
        self.on_create = collections.deque()
        self.on_update = collections.deque()
        self.create_default = hang
        self.update_default = accept
        self._changed = threading.Condition()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(WORKERS),
            options=[
                ("grpc.max_receive_message_length", 64 << 20),
                ("grpc.http2.min_ping_interval_without_data_ms", 10000),
            ],
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))
        address = unix or "%s:%d" % (host, port)
        if credentials:
            self.port = self._server.add_secure_port(address, credentials)
        else:
            self.port = self._server.add_insecure_port(address)
        self.endpoint = "http://%s:%d" % (host, self.port)
        self._server.start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.stop()

    def stop(self):
        """Break off whatever is in the air and close the port."""
        self._server.stop(None).wait(PATIENCE_S)

    def wait_created(self, nr, timeout_s=PATIENCE_S):
        """The CreateProfile calls so far, once there are `nr`."""
        return self._wait(self.created, nr, timeout_s, "CreateProfile")

    def wait_updated(self, nr, timeout_s=PATIENCE_S):
        """The UpdateProfile calls so far, once there are `nr`."""
        return self._wait(self.updated, nr, timeout_s, "UpdateProfile")

    def _wait(self, calls, nr, timeout_s, what):
        with self._changed:
            if not self._changed.wait_for(lambda: len(calls) >= nr, timeout_s):
                raise AssertionError(
                    "%d calls of %s after %g s, not %d"
                    % (len(calls), what, timeout_s, nr)
                )
            return list(calls)

    def _handlers(self):
        def create(data, context):
            call = Call(api.CreateProfileRequest, data, context)
            return self._answer(
                call, context, self.created, self.on_create, self.create_default
            )

        def update(data, context):
            call = Call(api.UpdateProfileRequest, data, context)
            return self._answer(
                call, context, self.updated, self.on_update, self.update_default
            )

        # No serializers: a reply is the bytes it is.
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "CreateProfile": grpc.unary_unary_rpc_method_handler(create),
                "UpdateProfile": grpc.unary_unary_rpc_method_handler(update),
            },
        )

    def _answer(self, call, context, calls, replies, default):
        with self._changed:
            calls.append(call)
            reply = replies.popleft() if replies else default
            self._changed.notify_all()
        try:
            return reply(call)
        except Refusal as refusal:
            context.set_trailing_metadata(refusal.trailers)
            context.abort(refusal.code, refusal.words)


def eventually(condition, what, timeout_s=PATIENCE_S):
    """Wait for something that can only be looked at, as in /proc."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if condition():
                return
        pause.wait(0.01)
    raise AssertionError("not within %g s: %s" % (timeout_s, what))
