"""Two gRPC cores in one process, PyPI's grpcio and ours, each with its own calls."""

from fake_service import FakeService, assign, raw


def test_program_that_uses_grpcio_itself_is_undisturbed(service, launch):
    text = """
import sys
if sys.argv[1] == "before":
    import grpc
import googlecloudprofiler
googlecloudprofiler.start(service="web")
import grpc

METHOD = "/google.devtools.cloudprofiler.v2.ProfilerService/UpdateProfile"
calls = 0
with grpc.insecure_channel(sys.argv[2]) as channel:
    update = channel.unary_unary(METHOD)
    print("ready", flush=True)
    import select
    while not select.select([sys.stdin], [], [], 0)[0]:
        assert update(b"", timeout=10) == b"echo"
        calls += 1
print(calls, flush=True)
"""

    for order in ("before", "after"):
        with FakeService() as own, FakeService() as other:
            own.on_create.extend([assign("CPU", 0.4), assign("WALL", 0.4)])
            other.update_default = raw(b"echo")
            program = launch(text, order, other.endpoint[7:], service=own)
            assert program.line() == "ready"
            own.wait_updated(2)
            program.say()
            assert int(program.line()) > 10
            assert program.end() == 0
            assert program.stderr() == ""


def test_program_that_serves_grpc_itself_is_undisturbed(service, launch):
    text = """
import sys
from concurrent import futures
import grpc
import googlecloudprofiler

def echo(data, context):
    return data

server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler(
        "test.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    ),
))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
googlecloudprofiler.start(service="web")
with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
    for i in range(300):
        assert channel.unary_unary("/test.Echo/Echo")(b"%d" % i) == b"%d" % i
sys.stdin.readline()
googlecloudprofiler.stop()
with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
    assert channel.unary_unary("/test.Echo/Echo")(b"end") == b"end"
# Without a grace, grpcio cancels, and its client may live to say so on stderr.
server.stop(30).wait()
print("fine", flush=True)
"""
    service.create_default = assign("WALL", 0.2)
    program = launch(text, service=service)
    service.wait_updated(2)
    program.say()
    assert program.line() == "fine"
    assert program.end() == 0
    assert program.stderr() == ""


def test_the_variables_of_grpcio_make_grpcio_talk_and_not_us(service, launch):
    text = """
import sys
import googlecloudprofiler
googlecloudprofiler.start(service="web")
sys.stdin.readline()
import grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    try:
        channel.unary_unary("/test.Echo/Echo")(b"")
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.UNIMPLEMENTED, e
"""
    service.create_default = assign("CPU", 0.1)
    with FakeService() as other:
        program = launch(
            text,
            other.endpoint[7:],
            service=service,
            GRPC_VERBOSITY="DEBUG",
            GRPC_TRACE="http",
        )
        service.wait_updated(2)
        assert program.stderr() == ""
        program.say()
        assert program.end() == 0
    assert ":%d" % other.port in program.stderr()
    assert ":%d" % service.port not in program.stderr()
