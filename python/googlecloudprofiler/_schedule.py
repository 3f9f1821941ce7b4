"""Who collects what and when: the decisions of the local service.

Time here is seconds of whatever clock the caller reads, as long as it is the same
one and never goes back. Nothing waits and nothing speaks: a Scheduler is told what
came in, and answers through the server it was given.
"""

import collections
import math
import os

from googlecloudprofiler import _types
from googlecloudprofiler._store import StoreError

# gRPC's numbers.
INVALID_ARGUMENT = 3
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
INTERNAL = 13
UNAVAILABLE = 14

MAX_WAIT_S = 60.0  # a call is held about as long as Google's service holds it
MAX_DELAY_S = 3600.0  # agents clamp to this
MIN_DELAY_S = 1.0  # agents do not come sooner
UPLOAD_GRACE_S = 60.0  # beyond the duration; then someone else may collect
UNWANTED_DELAY_S = 600.0  # for agents of none of our types
MAX_DEPLOYMENTS = 1000
MAX_WAITING = 1000  # of one deployment; each holds a call open
MAX_ASSIGNED = 10000  # names that may still be uploaded

MAX_PEERS = 1000  # of a deployment, of which the last type is known

Waiting = collections.namedtuple("Waiting", "call peer types until")
Assigned = collections.namedtuple(
    "Assigned", "deployment type duration_s project target labels"
)


class Deployment:
    """What is known of one service: all agents of the same project, target and
    labels collect in turns.

    due[type] is when a type may be assigned next, running[type] who collects it:
    (name, when it is ready, when it is given up).
    """

    def __init__(self, types, interval_s, now):
        step = interval_s / len(types)
        # Spread over the interval, so that they alternate from the start.
        self.due = {t: now + i * step for i, t in enumerate(types)}
        self.running = {}
        self.waiting = []  # in order of arrival
        self.turns = []  # promised to agents that were sent away, ascending
        self.last = collections.OrderedDict()  # peer -> type, oldest first

    def offer(self, types, now):
        """An agent can collect these types, of which some may be new."""
        for t in types:
            self.due.setdefault(t, now)

    def forget_past(self, now):
        """Drop promises and collections whose time is over."""
        self.turns = [t for t in self.turns if t > now]
        self.running = {t: r for t, r in self.running.items() if r[2] > now}

    def ready(self, type, now):
        """When `type` will be free for the next agent; in the past: now."""
        when = self.due[type]
        if type in self.running:
            when = max(when, self.running[type][1])
        return max(when, now)

    def next_type(self, now):
        """Types that may be assigned now, the one that waits longest first."""
        free = [t for t in self.due if self.due[t] <= now and t not in self.running]
        return sorted(free, key=lambda t: self.due[t])

    def next_waiting(self, type):
        """Who collects `type`: the first that has not done so the last time, or else
        two agents that take turns would have one type each for ever. Or None."""
        willing = [w for w in self.waiting if type in w.types]
        others = [w for w in willing if self.last.get(w.peer) != type]
        return (others or willing or [None])[0]

    def assigned(self, peer, type):
        """Remember who has collected what."""
        self.last.pop(peer, None)
        self.last[peer] = type
        while len(self.last) > MAX_PEERS:
            self.last.popitem(last=False)

    def turn(self, wanted, position, rhythm_s, now):
        """When the agent at `position` of the queue (0 is the first) will get one
        of the `wanted` types, if every type is assigned once per `rhythm_s`."""
        free = sorted(self.ready(t, now) for t in wanted)
        rounds, place = divmod(position, len(free))
        return free[place] + rounds * rhythm_s

    def idle(self):
        return not self.waiting and not self.running


class Scheduler:
    """The answers of the local service.

    server: has assign(), postpone(), accept() and refuse(), as _native.Server.
    store: has add() and has(), as _store.Store.
    decode: bytes to a profile, raising ValueError or RuntimeError.
    types: the API's numbers of what is collected, where an agent offers it, in this
        order.
    interval_s: each type of a deployment is collected once in this time.
    duration_s: how long a profile is collected that is not of one moment.
    tell: takes one line about what happened; warn: one about what went wrong.
    """

    def __init__(
        self,
        server,
        store,
        decode,
        types,
        interval_s,
        duration_s,
        tell=None,
        warn=None,
    ):
        self.stored = 0  # distinct profiles kept so far
        self.samples = 0  # in them
        self._server = server
        self._store = store
        self._decode = decode
        self._types = list(types)
        self._interval_s = interval_s
        self._duration_s = duration_s
        self._rhythm_s = max(interval_s, duration_s)
        self._patience_s = min(MAX_WAIT_S, self._rhythm_s)
        self._tell = tell or (lambda words: None)
        self._warn = warn or (lambda words: None)
        self._deployments = collections.OrderedDict()  # least recently seen first
        self._assigned = collections.OrderedDict()  # by name, oldest first
        self._where = {}  # call -> the deployment it waits in
        self._ended = None  # the words for who comes after the end

    def take(self, event, now):
        """Deal with what server.next() returned; None is nothing."""
        if event is not None:
            getattr(self, "_take_" + event[0])(now, *event[1:])
        self.tick(now)

    def tick(self, now):
        """Hand out what has become due, send away who waited too long."""
        for key in {self._where[call] for call in self._where}:
            deployment = self._deployments[key]
            deployment.forget_past(now)
            self._assign_due(key, deployment, now)
            for waiting in [w for w in deployment.waiting if w.until <= now]:
                self._leave(waiting.call)
                self._send_away(deployment, waiting.call, waiting.types, now)

    def end(self, words):
        """Answer everyone who waits, or still comes to: there will be nothing."""
        self._ended = words
        for call in list(self._where):
            self._leave(call)
            self._server.refuse(call, UNAVAILABLE, words)

    def _take_create(self, now, call, peer, project, target, labels, types):
        if self._ended:
            self._server.refuse(call, UNAVAILABLE, self._ended)
            return
        wanted = [t for t in self._types if t in types]
        key = (project, target, tuple(sorted(labels.items())))
        if not wanted:
            self._postpone(call, UNWANTED_DELAY_S)
            return
        deployment = self._deployment(key, wanted, now)
        if deployment is None:
            self._server.refuse(call, RESOURCE_EXHAUSTED, "too many deployments")
            return

        deployment.forget_past(now)
        turn = self._turn(deployment, wanted, now)
        if turn - now > self._patience_s or len(deployment.waiting) >= MAX_WAITING:
            self._send_away(deployment, call, wanted, now)
            return
        # When someone ahead never uploads, the turn comes late.
        deployment.waiting.append(
            Waiting(call, peer, wanted, turn + self._patience_s)
        )
        self._where[call] = key

    def _take_gone(self, now, call):
        if call in self._where:
            self._leave(call)

    def _take_update(
        self,
        now,
        call,
        peer,
        name,
        type,
        duration_ns,
        project,
        target,
        labels,
        profile_labels,
        data,
    ):
        assigned = self._assigned.get(name)
        try:
            if self._store.has(_id_of(name)):
                # The agent did not hear that its upload went well.
                self._server.accept(call, name, type)
                return
            if assigned is None:
                self._server.refuse(call, NOT_FOUND, "no profile '%s' is due" % name)
                return
            self._free(name, assigned)
            try:
                profile = self._read(assigned, type, data)
            except (ValueError, RuntimeError) as e:
                self._server.refuse(call, INVALID_ARGUMENT, str(e))
                self._warn("refused an upload by %s: %s" % (peer, e))
                return
            path = self._keep(
                name, assigned, duration_ns, profile_labels, data, profile["time_ns"]
            )
        except StoreError as e:
            self._server.refuse(call, INTERNAL, str(e))
            self._warn(str(e))
            return
        del self._assigned[name]
        self.stored += 1
        self.samples += _samples_in(profile)
        self._server.accept(call, name, assigned.type)
        self._tell(
            "stored a %s profile of '%s': %s"
            % (_types.NAMES[assigned.type], assigned.target, path)
        )

    def _read(self, assigned, type, data):
        """An upload, decoded; ValueError or RuntimeError says why it is refused."""
        if type not in (0, assigned.type):
            raise ValueError(
                "a %s profile was asked for, not %s"
                % (
                    _types.NAMES[assigned.type],
                    _types.NAMES.get(type, "type %d" % type),
                )
            )
        if not data:
            raise ValueError("the profile is empty")
        try:
            return self._decode(data)
        except (ValueError, RuntimeError) as e:
            raise ValueError("not a profile: %s" % e) from e

    def _keep(self, name, assigned, duration_ns, profile_labels, data, time_ns):
        labels = dict(assigned.labels)
        labels.update(profile_labels)
        if duration_ns <= 0:
            duration_ns = int(assigned.duration_s * 1e9)
        return self._store.add(
            _id_of(name),
            name,
            assigned.project,
            assigned.target,
            _types.NAMES[assigned.type],
            labels,
            duration_ns,
            data,
            time_ns,
        )

    def _free(self, name, assigned):
        """Let another agent collect: this one has tried, whatever comes of it."""
        deployment = self._deployments.get(assigned.deployment)
        if deployment is None:
            return
        running = deployment.running.get(assigned.type)
        if running and running[0] == name:
            del deployment.running[assigned.type]

    def _deployment(self, key, wanted, now):
        """The deployment of `key`, made if there is room; None if not."""
        deployment = self._deployments.get(key)
        if deployment is None:
            if len(self._deployments) >= MAX_DEPLOYMENTS and not self._forget_one(now):
                return None
            deployment = Deployment(wanted, self._interval_s, now)
            self._deployments[key] = deployment
        deployment.offer(wanted, now)
        self._deployments.move_to_end(key)
        return deployment

    def _forget_one(self, now):
        for key, deployment in self._deployments.items():
            deployment.forget_past(now)
            if deployment.idle():
                del self._deployments[key]
                return True
        return False

    def _assign_due(self, key, deployment, now):
        for type in deployment.next_type(now):
            waiting = deployment.next_waiting(type)
            if waiting:
                deployment.assigned(waiting.peer, type)
                self._leave(waiting.call)
                self._assign(key, deployment, waiting.call, type, now)

    def _assign(self, key, deployment, call, type, now):
        project, target, labels = key
        name = "projects/%s/profiles/%s" % (project, os.urandom(16).hex())
        duration_s = 0.0 if _types.NAMES[type] in _types.INSTANT else self._duration_s
        ready = now + duration_s
        deployment.due[type] = now + self._interval_s
        deployment.running[type] = (name, ready, ready + UPLOAD_GRACE_S)
        self._assigned[name] = Assigned(
            key, type, duration_s, project, target, dict(labels)
        )
        while len(self._assigned) > MAX_ASSIGNED:
            self._assigned.popitem(last=False)
        self._server.assign(
            call,
            name,
            type,
            int(duration_s * 1e9),
            project,
            target,
            dict(labels),
        )
        self._tell("collecting a %s profile of '%s'" % (_types.NAMES[type], target))

    def _turn(self, deployment, wanted, now):
        position = len(deployment.waiting) + len(deployment.turns)
        return deployment.turn(wanted, position, self._rhythm_s, now)

    def _send_away(self, deployment, call, wanted, now):
        turn = self._turn(deployment, wanted, now)
        if len(deployment.turns) < MAX_WAITING:
            deployment.turns = sorted([*deployment.turns, turn])
        self._postpone(call, turn - now)

    def _postpone(self, call, delay_s):
        delay_s = min(MAX_DELAY_S, max(MIN_DELAY_S, delay_s))
        words = "generic::aborted: action throttled, backoff for %s"
        self._server.postpone(call, words % _words_of(delay_s), delay_s)

    def _leave(self, call):
        deployment = self._deployments[self._where.pop(call)]
        deployment.waiting = [w for w in deployment.waiting if w.call != call]


def _samples_in(profile):
    """How often something was counted, where the profile says so."""
    units = [unit for _, unit in profile["value_types"]]
    if "count" not in units:
        return len(profile["samples"])
    which = units.index("count")
    return sum(values[which] for _, values, _ in profile["samples"])


def _id_of(name):
    return name.rpartition("/")[2]


def _words_of(seconds):
    """33s, 1m10s, 1h0m0s: as Google's service writes it."""
    seconds = math.ceil(seconds)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return "%dh%dm%ds" % (hours, minutes, seconds)
    if minutes:
        return "%dm%ds" % (minutes, seconds)
    return "%ds" % seconds
