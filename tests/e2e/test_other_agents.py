"""Agents of other languages at the local service: what each offers is collected, kept,
and shown with the values it has. They are played by PyPI's grpcio (Node's own agent has
no gRPC), with profiles as each makes them; Google's own for Go is in tests/agents."""

import gzip
import subprocess
import sys

import grpc
import pytest
from fake_service import PATIENCE_S, SERVICE, api
from profiles import made
from serving import serving

COUNT, BYTES, NS, US = "count", "bytes", "nanoseconds", "microseconds"
GO_SPACE = (("alloc_objects", COUNT), ("alloc_space", BYTES))
DELAY = (("contentions", COUNT), ("delay", NS))
LIVE = (("inuse_objects", COUNT), ("inuse_space", BYTES))

# What an agent offers, in its order; of each type the values, the one that is named
# as default, one sample, and what is shown of it.
AGENTS = {
    "go": [
        ("CPU", (("samples", COUNT), ("cpu", NS)), 0, (3, 2 * 10**9), "2.00 s of cpu"),
        ("HEAP", GO_SPACE + LIVE, 0, (0, 0, 5, 3000), "3.00 kB of inuse_space"),
        ("THREADS", (("goroutine", COUNT),), 0, (17,), "17 of goroutine"),
        ("HEAP_ALLOC", GO_SPACE, 0, (5, 4 * 10**6), "4.00 MB of alloc_space"),
        ("CONTENTION", DELAY, 0, (2, 5 * 10**6), "5.00 ms of delay"),
    ],
    "java": [
        ("CPU", (("sample", COUNT), ("cpu", NS)), "cpu", (3, 10**9), "1.00 s of cpu"),
        ("WALL", (("sample", COUNT), ("wall", NS)), "wall", (3, 10**9), "of wall"),
        ("HEAP", LIVE, "inuse_space", (5, 3000), "3.00 kB of inuse_space"),
    ],
    "nodejs": [
        ("WALL", (("sample", COUNT), ("wall", US)), 0, (3, 1500), "1.50 ms of wall"),
        ("HEAP", (("objects", COUNT), ("space", BYTES)), 0, (5, 64), "64 B of space"),
    ],
}
INSTANT = ("HEAP", "THREADS")


class Agent:
    """One that collects at once what it is asked for."""

    def __init__(self, channel, language, rows):
        self._request = api.CreateProfileRequest(parent="projects/p-1")
        self._request.deployment.project_id = "p-1"
        self._request.deployment.target = language
        self._request.deployment.labels["language"] = language
        self._request.profile_type.extend(api.ProfileType.Value(r[0]) for r in rows)
        self._profiles = {
            row[0]: made(*row[1], default=row[2], samples=[row[3]]) for row in rows
        }
        self._create = self._method(
            channel, "CreateProfile", api.CreateProfileRequest, api.Profile
        )
        self._update = self._method(
            channel, "UpdateProfile", api.UpdateProfileRequest, api.Profile
        )

    def _method(self, channel, name, request, reply):
        return channel.unary_unary(
            "/%s/%s" % (SERVICE, name),
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )

    def collect(self, data=None):
        """Do what is asked; returns the type and the duration that it should take.
        data: what is uploaded in the place of a profile."""
        profile = self._create(self._request, timeout=PATIENCE_S)
        kind = api.ProfileType.Name(profile.profile_type)
        profile.profile_bytes = data or gzip.compress(self._profiles[kind])
        self._update(api.UpdateProfileRequest(profile=profile), timeout=PATIENCE_S)
        return kind, profile.duration.seconds + profile.duration.nanos / 1e9


def show(store, *arguments):
    return subprocess.run(
        [
            *(sys.executable, "-m", "googlecloudprofiler", "show"),
            *("--store", str(store), *map(str, arguments)),
        ],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.fixture
def service(tmp_path):
    """(address, store) of a service with the types that it has by itself."""
    store = tmp_path / "store"
    with serving(store, "--interval", "2", "--duration", "0.25") as (address, _):
        yield address, store


@pytest.mark.parametrize("language", sorted(AGENTS))
def test_all_that_an_agent_offers_is_collected_and_shown(service, language, tmp_path):
    address, store = service
    rows = AGENTS[language]
    got = {}
    with grpc.insecure_channel(address) as channel:
        agent = Agent(channel, language, rows)
        for _ in rows:
            kind, duration_s = agent.collect()
            got[kind] = duration_s
    assert got == {row[0]: 0 if row[0] in INSTANT else 0.25 for row in rows}
    for kind, _, _, _, words in rows:
        text = show(store, "--type", kind)
        assert text.startswith("%s profile of '%s'" % (kind, language))
        assert words in text
    show(store, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for _, values, *_ in rows:
        assert '["%s","%s"]' % values[-1] in page


@pytest.mark.parametrize(
    "data, words",
    [
        (b"no profile", "no valid Profile message"),
        (gzip.compress(bytes(4 << 20)), "inflates to more than 250 times its size"),
    ],
    ids=["other", "bomb"],
)
def test_a_hostile_upload_is_refused_in_words_and_harms_nobody(service, data, words):
    address, store = service
    with grpc.insecure_channel(address) as channel:
        agent = Agent(channel, "go", AGENTS["go"])
        with pytest.raises(grpc.RpcError) as refused:
            agent.collect(data)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert words in refused.value.details()
        agent.collect()
    assert len(list(store.glob("*.pb.gz"))) == 1
