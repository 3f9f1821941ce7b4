"""The local service as its own process, called by another gRPC implementation; and
the demo, which is all of it together."""

import gzip
import json
import os
import subprocess
import sys
import urllib.request

import grpc
import pytest
from fake_service import PATIENCE_S, SERVICE, api, pprof, rpc
from serving import serving

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def local_service(tmp_path):
    """(address, store, page) of a service that collects a type once in an hour."""
    store = tmp_path / "store"
    options = ["--types", "CPU", "--interval", "3600", "--duration", "7"]
    with serving(store, "--web", "127.0.0.1:0", *options) as (address, lines):
        page = lines.readline().split()
        assert page[:2] == ["page", "at"]
        yield address, store, page[2]


def method(channel, name, request, reply):
    return channel.unary_unary(
        "/%s/%s" % (SERVICE, name),
        request_serializer=request.SerializeToString,
        response_deserializer=reply.FromString,
    )


def small_profile():
    profile = pprof.Profile(string_table=["", "cpu", "nanoseconds"])
    profile.sample_type.add(type=1, unit=2)
    return gzip.compress(profile.SerializeToString())


def test_what_a_client_of_another_grpc_sends_is_on_the_page(local_service):
    address, store, page = local_service
    request = api.CreateProfileRequest(parent="projects/p-1")
    request.deployment.project_id = "p-1"
    request.deployment.target = "shop"
    request.deployment.labels["zone"] = "z"
    request.profile_type.extend([api.CPU, api.WALL])
    with grpc.insecure_channel(address) as channel:
        create = method(channel, "CreateProfile", api.CreateProfileRequest, api.Profile)
        update = method(channel, "UpdateProfile", api.UpdateProfileRequest, api.Profile)
        profile = create(request, timeout=PATIENCE_S)
        assert profile.name.startswith("projects/p-1/profiles/")
        assert profile.profile_type == api.CPU
        assert profile.duration.seconds == 7
        assert profile.deployment == request.deployment

        profile.profile_bytes = small_profile()
        update(api.UpdateProfileRequest(profile=profile), timeout=PATIENCE_S)
        (stored,) = store.glob("*.pb.gz")
        assert stored.read_bytes() == profile.profile_bytes

        with urllib.request.urlopen(page + "profiles?target=shop&type=CPU") as f:
            (shown,) = json.load(f)["profiles"]
        with urllib.request.urlopen(page + shown["url"].lstrip("/")) as f:
            assert f.read() == profile.profile_bytes

        with pytest.raises(grpc.RpcError) as refused:
            create(request, timeout=PATIENCE_S)
        assert refused.value.code() == grpc.StatusCode.ABORTED
        trailers = dict(refused.value.trailing_metadata())
        retry = rpc.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
        assert 3000 < retry.retry_delay.seconds <= 3600

        profile.profile_bytes = b"no profile"
        profile.name += "0"
        with pytest.raises(grpc.RpcError) as refused:
            update(api.UpdateProfileRequest(profile=profile), timeout=PATIENCE_S)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def processes_with(mark):
    """The command lines of all processes that hold `mark`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                command = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in command:
            found.append(command)
    return found


def test_the_demo_shows_both_tables_and_leaves_nothing_running(tmp_path):
    store = str(tmp_path / "demo-store")
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "scripts", "demo"), store],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for words in ("CPU profile", "WALL profile", "function", "mixed_work.py:", store):
        assert words in done.stdout
    assert processes_with(store) == []
