"""Scheduling and the service's loop, with a scripted server and a scripted clock."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from googlecloudprofiler import _retention, _schedule, _serve, _store, _types

CPU, WALL, HEAP, THREADS, CONTENTION, PEAK_HEAP, HEAP_ALLOC = range(1, 8)
LABELS = {"language": "python"}
GOOD = b"profile"


class Server:
    """Takes down every answer: (verb, call, ...)."""

    def __init__(self, events=()):
        self.answers = []
        self.waits = []
        self._events = list(events)

    def next(self, timeout_s):
        self.waits.append(timeout_s)
        return self._events.pop(0) if self._events else None

    def assign(self, *a):
        self.answers.append(("assign", *a))

    def postpone(self, *a):
        self.answers.append(("postpone", *a))

    def accept(self, *a):
        self.answers.append(("accept", *a))

    def refuse(self, *a):
        self.answers.append(("refuse", *a))


class Store:
    def __init__(self):
        self.kept = {}
        self.failure = None

    def has(self, profile_id):
        return profile_id in self.kept

    def add(self, profile_id, *rest):
        if self.failure:
            raise _store.StoreError(self.failure)
        self.kept[profile_id] = rest
        return "/store/" + profile_id


def decode(data):
    if data != GOOD:
        raise RuntimeError("garbage")
    return {
        "value_types": [("sample", "count"), ("cpu", "nanoseconds")],
        "samples": [([], [4, 10], []), ([], [3, 10], [])],
        "time_ns": 99,
    }


class World:
    """A scheduler and everything around it."""

    def __init__(self, interval=60.0, duration=10.0, types=(CPU, WALL)):
        self.server = Server()
        self.store = Store()
        self.said = []
        self.now = 1000.0
        self.scheduler = _schedule.Scheduler(
            self.server,
            self.store,
            decode,
            types,
            interval,
            duration,
            tell=self.said.append,
            warn=self.said.append,
        )

    def take(self, *event):
        """What was answered to an event, and to others because of it."""
        before = len(self.server.answers)
        self.scheduler.take(event or None, self.now)
        return self.server.answers[before:]

    def create(self, call, target="web", types=(CPU, WALL), labels=LABELS, peer="x"):
        return self.take("create", call, peer, "p", target, dict(labels), list(types))

    def update(self, call, name, type=CPU, data=GOOD, duration_ns=0, labels=()):
        return self.take(
            *("update", call, "peer", name, type, duration_ns),
            *("p", "web", dict(LABELS), dict(labels), data),
        )

    def at(self, seconds):
        """Go on to `seconds` after the start."""
        self.now = 1000.0 + seconds
        return self.take()


def verbs(answers):
    return [(a[0], a[1]) for a in answers]


def test_the_first_agent_collects_at_once():
    (answer,) = World().create(1)
    verb, call, name, type, duration_ns, project, target, labels = answer
    assert (verb, call, type, duration_ns) == ("assign", 1, CPU, 10 * 10**9)
    assert (project, target, labels) == ("p", "web", LABELS)
    assert name.startswith("projects/p/profiles/") and len(name) == 20 + 32


def test_names_differ_and_leave_the_programs_random_numbers_alone():
    import random

    random.seed(1)
    state = random.getstate()
    names = set()
    for call in range(20):
        (answer,) = World().create(call)
        names.add(answer[2])
    assert len(names) == 20
    assert random.getstate() == state


@pytest.mark.parametrize(
    "interval, duration, want",
    [
        # (assigned at, type): one agent that comes back whenever it is done
        (60.0, 10.0, [(0, CPU), (30, WALL), (60, CPU), (90, WALL)]),
        (1.0, 8.0, [(0, CPU), (8, WALL), (16, CPU), (24, WALL)]),
        (20.0, 10.0, [(0, CPU), (10, WALL), (20, CPU), (30, WALL)]),
    ],
)
def test_types_alternate_at_the_rhythm(interval, duration, want):
    world = World(interval, duration)
    got = []
    call, second, collecting_until, name = 1, 0, None, None
    answers = world.create(call)
    while len(got) < len(want):
        if answers:
            (answer,) = answers
            assert answer[0] == "assign"
            got.append((second, answer[3]))
            collecting_until, name = second + duration, answer[2]
        second += 1
        answers = world.at(second)
        if collecting_until == second:
            world.update(100 + second, name, got[-1][1])
            collecting_until = None
            call += 1
            answers = world.create(call)
    assert got == want


def test_each_agent_has_one_turn_and_the_oldest_goes_first():
    world = World(60.0, 10.0)
    (first,) = world.create(1)
    assert verbs([first]) == [("assign", 1)]
    assert world.create(2) == []
    assert world.create(3) == []
    world.at(10)
    world.update(10, first[2])
    assert world.at(29.9) == []
    assert verbs(world.at(30)) == [("assign", 2)]
    assert world.at(59.9) == []
    assert verbs(world.at(60)) == [("assign", 3)]


def test_two_agents_have_both_types_and_not_one_each():
    """Whoever took a turn came back behind the other, for ever."""
    world = World(2.0, 0.5)
    got = {"a": [], "b": []}
    waiting = {}  # call -> peer
    for call, peer in enumerate("ab"):
        waiting[call] = peer
    answers = [x for c, p in waiting.items() for x in world.create(c, peer=p)]
    for step in range(1, 200):
        for verb, call, name, type, *_ in answers:
            assert verb == "assign"
            peer = waiting.pop(call)
            got[peer].append(type)
            world.update(10000 + step, name, type)
            waiting[100 + step] = peer
            answers = world.create(100 + step, peer=peer)
            assert answers == []
        answers = world.at(step * 0.25)
    for types in got.values():
        assert types.count(CPU) > 10 and types.count(WALL) > 10


def test_a_deployment_is_project_target_and_labels():
    world = World()
    assert verbs(world.create(1)) == [("assign", 1)]
    assert verbs(world.create(2, target="db")) == [("assign", 2)]
    assert verbs(world.create(3, labels={"version": "2"})) == [("assign", 3)]
    assert world.create(4) == []


def test_excess_agents_are_told_when_their_turn_is():
    world = World(60.0, 10.0)
    world.create(1)  # CPU now
    world.create(2)  # WALL at 30
    world.create(3)  # CPU at 60
    delays = []
    for call in range(4, 8):
        (answer,) = world.create(call)
        verb, _, words, delay = answer
        assert verb == "postpone"
        assert words.startswith("generic::aborted: action throttled, backoff for ")
        delays.append(delay)
    assert delays == [90.0, 120.0, 150.0, 180.0]
    assert words.endswith("3m0s")


def test_who_comes_back_at_its_turn_collects():
    world = World(600.0, 10.0, types=[CPU])
    (assigned,) = world.create(1)
    world.at(10)
    world.update(2, assigned[2])
    (answer,) = world.create(3)
    assert answer[0] == "postpone" and answer[3] == 590.0
    world.at(10 + answer[3])
    assert verbs(world.create(4)) == [("assign", 4)]


def test_turns_of_agents_that_never_come_back_are_given_to_others():
    world = World(60.0, 10.0, types=[CPU])
    (first,) = world.create(1)
    world.update(10, first[2])
    world.create(2)
    assert world.create(3)[0][3] == 120.0
    (second,) = world.at(60)
    world.update(11, second[2])
    world.at(120)
    assert verbs(world.create(4)) == [("assign", 4)]


def test_a_client_that_goes_away_frees_its_place():
    world = World(60.0, 10.0)
    world.create(1)
    world.create(2)
    world.create(3)
    assert world.take("gone", 2) == []
    assert verbs(world.at(30)) == [("assign", 3)]
    assert world.take("gone", 2) == []
    assert world.take("gone", 77) == []


def test_an_agent_that_does_not_upload_blocks_its_type_for_a_while_only():
    world = World(interval=1.0, duration=10.0, types=[CPU])
    world.create(1)
    world.at(69)
    assert world.create(2) == []
    assert verbs(world.at(70)) == [("assign", 2)]


def test_waiting_has_an_end():
    world = World(interval=1.0, duration=10.0, types=[CPU])
    world.create(1)
    assert world.create(2) == []
    assert world.at(19) == []
    assert verbs(world.at(20)) == [("postpone", 2)]
    assert world.at(70) == []


def test_a_late_upload_is_still_welcome():
    world = World(interval=1.0, duration=10.0, types=[CPU])
    (first,) = world.create(1)
    world.at(100)
    (second,) = world.create(2)
    assert verbs(world.update(3, first[2])) == [("accept", 3)]
    # and does not free the slot of the one who collects now
    world.at(109)
    assert world.create(4) == []
    assert verbs(world.update(5, second[2])) == [("accept", 5), ("assign", 4)]


def test_agents_get_only_types_they_want():
    world = World(60.0, 10.0)
    (answer,) = world.create(1, types=[WALL])
    assert answer[:2] == ("assign", 1) and answer[3] == WALL
    (answer,) = world.create(2, types=[CPU])
    assert answer[:2] == ("assign", 2) and answer[3] == CPU
    world.update(10, answer[2])
    assert world.create(3, types=[CPU]) == []
    assert world.at(59.9) == []
    (answer,) = world.at(60)
    assert answer[:2] == ("assign", 3) and answer[3] == CPU


@pytest.mark.parametrize(
    "offered, want",
    [
        # Go's, Java's and Node's agents, each in its own order
        ([CPU, HEAP, THREADS, HEAP_ALLOC], [CPU, HEAP, THREADS, HEAP_ALLOC]),
        (
            [CPU, HEAP, THREADS, HEAP_ALLOC, CONTENTION],
            [CPU, HEAP, THREADS, CONTENTION, HEAP_ALLOC],
        ),
        ([CPU, WALL, HEAP], [CPU, WALL, HEAP]),
        ([WALL, HEAP], [WALL, HEAP]),
    ],
)
def test_all_that_an_agent_offers_is_collected_spread_over_the_interval(offered, want):
    world = World(60.0, 10.0, types=list(_types.NUMBERS.values()))
    answers = world.create(0, types=offered)
    got = []
    for second in range(1, 120):
        for _, call, name, type, *_ in answers:
            got.append((second - 1, type))
            assert verbs(world.update(1000 + call, name, type)) == [
                ("accept", 1000 + call)
            ]
            assert world.create(call + 1, types=offered) == []
        answers = world.at(second)
    step = 60 // len(want)
    assert got[: len(want)] == [(i * step, t) for i, t in enumerate(want)]
    assert [t for _, t in got] == want * 2


@pytest.mark.parametrize(
    "type, seconds",
    [
        *((CPU, 10), (WALL, 10), (CONTENTION, 10), (HEAP_ALLOC, 10)),
        *((HEAP, 0), (THREADS, 0), (PEAK_HEAP, 0)),
    ],
)
def test_what_is_of_one_moment_takes_no_time(type, seconds):
    """The next one has its turn at once, even where intervals are shorter than
    profiles."""
    world = World(1.0, 10.0, types=[type])
    (answer,) = world.create(1, types=[type])
    assert answer[4] == seconds * 10**9
    world.update(2, answer[2], type)
    ((*_, kept, _, _),) = world.store.kept.values()
    assert kept == seconds * 10**9
    running = world.create(3, types=[type])
    assert running == []
    assert verbs(world.at(1)) == [("assign", 3)]


@pytest.mark.parametrize("types", [[], [HEAP], [0, 99]])
def test_agents_of_other_types_are_sent_away(types):
    (answer,) = World().create(1, types=types)
    assert answer[0] == "postpone" and answer[3] == _schedule.UNWANTED_DELAY_S


def test_an_upload_is_stored_with_what_was_assigned():
    world = World()
    (assigned,) = world.create(1)
    name = assigned[2]
    answers = world.update(2, name, duration_ns=9, labels={"instance": "i"})
    assert answers == [("accept", 2, name, CPU)]
    labels = {"language": "python", "instance": "i"}
    kept = (name, "p", "web", "CPU", labels, 9, GOOD, 99)
    assert world.store.kept == {name.rpartition("/")[2]: kept}
    assert (world.scheduler.stored, world.scheduler.samples) == (1, 7)


@pytest.mark.parametrize("duration_ns", [0, -1])
def test_an_upload_without_duration_has_that_of_the_assignment(duration_ns):
    world = World()
    (assigned,) = world.create(1)
    world.update(2, assigned[2], duration_ns=duration_ns)
    ((_, _, _, _, _, kept, _, _),) = world.store.kept.values()
    assert kept == 10 * 10**9


def test_a_repeated_upload_is_accepted_and_counts_once():
    world = World()
    (assigned,) = world.create(1)
    world.update(2, assigned[2])
    assert world.update(3, assigned[2]) == [("accept", 3, assigned[2], CPU)]
    assert world.scheduler.stored == 1


@pytest.mark.parametrize(
    "name", ["", "x", "projects/p/profiles/" + "0" * 32, "projects/p/profiles/../x"]
)
def test_an_unknown_upload_is_not_found(name):
    world = World()
    world.create(1)
    (answer,) = world.update(2, name)
    assert answer[:3] == ("refuse", 2, 5)
    assert world.store.kept == {}


@pytest.mark.parametrize(
    "type, data, words",
    [
        (CPU, b"", "empty"),
        (CPU, b"junk", "garbage"),
        (WALL, GOOD, "WALL"),
        (77, GOOD, "type 77"),
    ],
)
def test_a_bad_upload_is_refused_with_the_reason(type, data, words):
    world = World()
    (assigned,) = world.create(1)
    (answer,) = world.update(2, assigned[2], type, data)
    assert answer[:3] == ("refuse", 2, 3)
    assert words in answer[3]
    assert world.scheduler.stored == 0
    # someone else may collect, and a better try is welcome
    world.create(4, types=[CPU])
    assert verbs(world.at(60)) == [("assign", 4)]
    assert verbs(world.update(3, assigned[2])) == [("accept", 3)]


def test_a_full_disk_is_told_and_survived():
    world = World(types=[CPU])
    (assigned,) = world.create(1)
    world.store.failure = "no space left on device"
    (answer,) = world.update(2, assigned[2])
    assert answer == ("refuse", 2, 13, "no space left on device")
    assert "no space left on device" in world.said
    # Nobody waits for that profile until it is given up.
    world.at(60)
    assert verbs(world.create(4)) == [("assign", 4)]
    world.store.failure = None
    assert verbs(world.update(3, assigned[2])) == [("accept", 3)]


def test_floods_are_bounded(monkeypatch):
    monkeypatch.setattr(_schedule, "MAX_DEPLOYMENTS", 3)
    monkeypatch.setattr(_schedule, "MAX_WAITING", 2)
    monkeypatch.setattr(_schedule, "MAX_ASSIGNED", 2)
    world = World(types=[CPU] * 1)
    for call in range(3):
        assert verbs(world.create(call, target="t%d" % call)) == [("assign", call)]
    (answer,) = world.create(10, target="t10")
    assert answer[:3] == ("refuse", 10, 8)
    world.at(1000)  # the others have long ended: there is room
    assert verbs(world.create(11, target="t11")) == [("assign", 11)]
    assert len(world.scheduler._assigned) == 2


def test_at_the_end_everyone_is_answered():
    world = World()
    world.create(1)
    world.create(2)
    world.scheduler.end("over")
    assert world.server.answers[-1] == ("refuse", 2, 14, "over")
    assert world.take("gone", 2) == []
    assert world.create(3, target="db") == [("refuse", 3, 14, "over")]


@pytest.mark.parametrize(
    "seconds, want",
    [(0.2, "1s"), (33, "33s"), (70, "1m10s"), (1980, "33m0s"), (3600, "1h0m0s")],
)
def test_words_for_delays(seconds, want):
    assert _schedule._words_of(seconds) == want


class Clock:
    """Each look is a step later."""

    def __init__(self, step):
        self.now = 0.0
        self._step = step

    def __call__(self):
        self.now += self._step
        return self.now


class Counting:
    """A scheduler that stores a profile with each event."""

    def __init__(self):
        self.stored = 0
        self.ended = 0

    def take(self, event, now):
        self.stored += event is not None

    def end(self, words):
        self.ended += 1


@pytest.mark.parametrize(
    "until, timeout, events, status, words",
    [
        (2, None, 5, 0, ""),
        (2, 30.0, 5, 0, ""),
        (3, 10.0, 1, 1, "only 1 of 3 profiles came within 10 s"),
        (None, 10.0, 1, 0, ""),
    ],
)
def test_the_loop_ends_as_told(capsys, until, timeout, events, status, words):
    ending = _serve.Ending(until, timeout, end_with_stdin=False, started=0.0)
    server = Server([("update",)] * events)
    assert _serve.loop(server, Counting(), ending, Clock(1.0)) == status
    assert words in capsys.readouterr().err
    assert max(server.waits) <= 0.2


def test_what_is_done_meanwhile_is_done_in_each_round():
    acts = []
    ending = _serve.Ending(3, None, end_with_stdin=False, started=0.0)
    server = Server([("update",)] * 3)
    meanwhile = [lambda: acts.append("tidy"), lambda: acts.append("show")]
    _serve.loop(server, Counting(), ending, Clock(1.0), meanwhile)
    assert acts == ["tidy", "show"] * 3


@pytest.mark.parametrize("until, status", [(None, 0), (1, 1)])
def test_a_signal_ends_the_loop(until, status):
    ending = _serve.Ending(until, None, end_with_stdin=False, started=0.0)
    ending._take_signal(15, None)
    assert _serve.loop(Server(), Counting(), ending, Clock(1.0)) == status


def test_the_last_answers_leave_before_the_end():
    scheduler = Counting()
    server = Server([("update",)] * 3)
    ending = _serve.Ending(1, None, end_with_stdin=False, started=0.0)
    assert _serve.loop(server, scheduler, ending, Clock(0.1)) == 0
    assert scheduler.stored == 3  # who uploads while we end is served as well
    assert scheduler.ended == 1


@pytest.mark.parametrize(
    "address, port, want",
    [
        ("127.0.0.1:0", 4242, "127.0.0.1:4242"),
        ("[::1]:0", 4242, "[::1]:4242"),
        ("localhost:8181", 8181, "localhost:8181"),
        ("unix:/tmp/x", 0, "unix:/tmp/x"),
    ],
)
def test_the_address_told(address, port, want):
    assert _serve.listening_address(address, port) == want


def test_lines_nobody_reads_do_not_end_the_service():
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w", buffering=1) as stream:
        speaker = _serve.Speaker(stream, quiet=False)
        speaker.tell("hello")
        speaker.tell("again")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# From here on with the native module, over real sockets.


@pytest.fixture
def server():
    pytest.importorskip("googlecloudprofiler._native")
    made = _serve.open_server("127.0.0.1:0")
    yield made
    made.close()


def test_a_server_waits_no_longer_than_told(server):
    assert server.port > 0
    assert server.next(0.0) is None


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_times_are_checked(server, seconds):
    with pytest.raises(ValueError):
        server.next(seconds)


def test_a_call_that_is_not_open_cannot_be_answered(server):
    for answer in (
        lambda: server.assign(7, "n", CPU, 1, "p", "t", {}),
        lambda: server.postpone(7, "later", 1.0),
        lambda: server.accept(7, "n", CPU),
        lambda: server.refuse(7, 13, "no"),
    ):
        with pytest.raises(ValueError):
            answer()
    with pytest.raises(ValueError):
        server.assign(7, "n", CPU, 1, "p", "t", {str(i): "" for i in range(1000)})
    with pytest.raises(TypeError):
        server.assign(7, "n", CPU, 1, "p", "t", [])


def test_a_second_thread_is_refused(server):
    other = threading.Thread(target=server.next, args=(1.0,))
    other.start()
    with pytest.raises(RuntimeError, match="another thread"):
        while other.is_alive():
            server.next(0.0)
    other.join()


def test_a_closed_server_says_so(server):
    server.close()
    server.close()
    with pytest.raises(RuntimeError, match="closed"):
        server.next(0.0)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "192.0.2.1:80", "example.com:80", "nonsense", "", "unix:"]
)
def test_other_addresses_than_loopback_are_refused(address):
    pytest.importorskip("googlecloudprofiler._native")
    with pytest.raises(_serve.ServeError):
        _serve.open_server(address)


def test_one_address_has_one_server(server):
    with pytest.raises(_serve.ServeError, match="in use"):
        _serve.open_server("127.0.0.1:%d" % server.port)


@pytest.fixture
def signals():
    """serve() catches some: put back what they did."""
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_service_deletes_what_is_too_old_while_nobody_comes(
    tmp_path, monkeypatch, signals
):
    native = pytest.importorskip("googlecloudprofiler._native")
    monkeypatch.setattr(_store, "TIDY_S", 0.0)
    with _store.Store(str(tmp_path), native.decode_profile) as store:
        path = store.add("1" * 32, "n", "p", "t", "CPU", {}, 1, b"data")
    assert _serve.serve(
        *("127.0.0.1:0", str(tmp_path), ["CPU"], 60.0, 10.0),
        timeout_s=2.0,
        limits=_retention.Limits(9, 10**9, 1),
    ) == 0
    assert not os.path.exists(path)


def start_service(tmp_path, *options):
    pytest.importorskip("googlecloudprofiler._native")
    command = [sys.executable, "-m", "googlecloudprofiler", "serve"]
    addresses = ["--address", "127.0.0.1:0", "--web", "off"]
    return subprocess.Popen(
        [*command, *addresses, "--store", str(tmp_path), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    "options, number, status, words",
    [
        ([], signal.SIGTERM, 0, b""),
        ([], signal.SIGINT, 0, b""),
        (["--until", "1"], signal.SIGTERM, 1, b"only 0 of 1 profiles came"),
    ],
)
def test_a_service_ends_by_signal(tmp_path, options, number, status, words):
    service = start_service(tmp_path, *options)
    assert service.stdout.readline().startswith(b"listening on 127.0.0.1:")
    service.send_signal(number)
    _, err = service.communicate(timeout=30)
    assert service.returncode == status
    assert words in err and err.count(b"\n") == bool(words)


def test_a_service_ends_with_its_input(tmp_path):
    service = start_service(tmp_path, "--end-with-stdin")
    service.stdout.readline()
    assert service.communicate(timeout=30)[1] == b""
    assert service.returncode == 0


def test_a_service_that_waits_in_vain_fails(tmp_path):
    service = start_service(tmp_path, "--until", "1", "--timeout", "0")
    assert b"only 0 of 1" in service.communicate(timeout=30)[1]
    assert service.returncode == 1
