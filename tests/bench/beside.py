"""What it costs to have the agent in a program, beside the original agent and beside a
bare gRPC call that waits, which is what core does by itself. Prints Markdown.

Usage: beside.py [--ours WHEEL] [--python PYTHON] [--quick] [--write PAGE]

    --ours WHEEL      a wheel to measure; without it, the package as it is installed
    --python PYTHON   runs what is measured; without it the newest that is here and
                      that the original is for
    --quick           too few rounds to believe, to see that all works
    --write PAGE      put the output between the marks in this file

All get the same Python, the same empty program, TLS to servers on this host that answer
at once, the CA certificates of certifi and one more, a service account's key and a
metadata server. They take turns where time is measured, and run at once while they
rest.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import certifi

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", d) for d in ("e2e", "google")]

import fake_service  # noqa: E402
import fixtures  # noqa: E402
import metadata_server  # noqa: E402
import pages  # noqa: E402
import peers  # noqa: E402
import proc  # noqa: E402
import program  # noqa: E402
import rest_service  # noqa: E402
import secure  # noqa: E402

ORIGINAL = "google-cloud-profiler==4.1.0"
# Python's releases that it is for.
ORIGINAL_PYTHONS = (3, 7), (3, 11)
METHOD = "/%s/CreateProfile" % fake_service.SERVICE

PATIENCE_S = 60
# What each has done before its rest is measured: (type, seconds).
WINDOWS = (("CPU", 2), ("WALL", 2))
SETTLE_S = 5

# What is printed: (key, words, digits, what is promised of ours).
ROWS = (
    ("packages", "packages installed", 0, 1),
    ("disk", "disk, MB", 1, None),
    ("imported", "import, beyond `logging`, ms", 1, 10),
    ("held", "start() holds its caller, ms", 1, None),
    ("reached", "start() to the first CreateProfile, ms", 1, 100),
    ("threads", "threads", 0, 9),
    ("wakeups", "wake-ups a second", 1, "core's own"),
    ("cpu", "CPU, % of a core", 3, 0.1),
    ("private", "private memory, MB", 1, 8),
    ("anonymous", "of it not a file's, MB", 1, None),
    ("rss", "resident memory, MB", 1, None),
)


class Subject:
    """A running subject.py."""

    def __init__(self, python, site, home, environ, *arguments):
        self._child = subprocess.Popen(
            [python, "-W", "ignore", os.path.join(HERE, "subject.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
            env=dict(
                program.clean_environment(home),
                PYTHONPATH=site or "",
                PYTHONDONTWRITEBYTECODE="1",
                **environ,
            ),
        )
        self.pid = self._child.pid

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._child.stdin.close()
        try:
            self._child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def line(self):
        return self._child.stdout.readline()


class Calls:
    """When which call came."""

    def __init__(self):
        self._times = {}
        self._changed = threading.Condition()  # protects `_times`

    def clear(self):
        with self._changed:
            self._times.clear()

    def note(self, method):
        with self._changed:
            self._times.setdefault(method, []).append(time.monotonic())
            self._changed.notify_all()

    def wait(self, method, nr):
        """When the call came that is number `nr` of its kind."""

        def has_come():
            return len(self._times.get(method, ())) >= nr

        with self._changed:
            if not self._changed.wait_for(has_come, PATIENCE_S):
                raise SystemExit("beside.py: no call of %s came" % method)
            return self._times[method][nr - 1]


class Contender:
    """An agent, or what stands in its place.

    launch() starts a Subject; `plan` is the queue of windows that it will be asked for
    and `calls` when it called. Both are None for what does not collect.
    """

    def __init__(self, launch, plan=None, calls=None):
        self.launch = launch
        self.plan = plan
        self.calls = calls


class GrpcService(secure.SecureService):
    """Ours is asked for what `plan` says, then waits."""

    def __init__(self, authority, calls):
        super().__init__(authority)
        self.plan = []
        self._calls = calls
        self.create_default = self._create
        self.update_default = self._update

    def _create(self, call):
        self._calls.note("CreateProfile")
        if not self.plan:
            return fake_service.hang(call)
        return fake_service.assign(*self.plan.pop(0))(call)

    def _update(self, call):
        self._calls.note("UpdateProfile")
        return fake_service.accept(call)


class Bench:
    """The contenders by name, as far as they can be had here, in a folder of its own.

    `left_out` says why one is not there.
    """

    def __init__(self, python, wheel, folder, stack):
        self.python = python
        self.contenders = {"nothing": Contender(lambda: self._launch(None, "nothing"))}
        self.sizes = {}
        self.versions = {}
        self.left_out = []
        self._folder = folder
        self._stack = stack
        self._authority = secure.Authority(_new(folder / "authority"))
        # As many as a program has to read, whichever the system's are.
        self._roots = str(folder / "roots.pem")
        with open(self._roots, "wb") as file:
            for path in (self._authority.ca, certifi.where()):
                file.write(pathlib.Path(path).read_bytes())
        self._metadata = stack.enter_context(metadata_server.MetadataServer())
        self._add_ours(wheel)
        with self._unless_it_fails("the original"):
            self._add_original()
        with self._unless_it_fails("core alone"):
            self._add_core()

    def _launch(self, site, *arguments, **environ):
        return Subject(self.python.path, site, self._folder, environ, *arguments)

    def _add_ours(self, wheel):
        site = _new(self._folder / "ours")
        if wheel:
            with zipfile.ZipFile(wheel) as file:
                file.extractall(str(site))
        else:
            import googlecloudprofiler

            shutil.copytree(
                os.path.dirname(googlecloudprofiler.__file__),
                str(site / "googlecloudprofiler"),
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        subprocess.run(
            [self.python.path, "-m", "compileall", "-q", str(site)], check=True
        )
        self.sizes["ours"] = 1, size_of(site)
        self.versions["ours"] = self._ask(
            site,
            "from googlecloudprofiler import __version__, _native, _options;"
            "print(__version__.__version__, 'with gRPC core',"
            " _native.transport(_options.transport_path())[0])",
        )
        calls = Calls()
        service = self._stack.enter_context(GrpcService(self._authority, calls))
        self._add_agent(
            "ours",
            site,
            service.plan,
            calls,
            {"api_endpoint": service.endpoint},
            "https://oauth2.googleapis.com/token",
            SSL_CERT_FILE=self._roots,
            GCE_METADATA_HOST=self._metadata.host,
        )

    def _add_original(self):
        site = self._install("original", ORIGINAL)
        calls = Calls()
        service = self._stack.enter_context(
            rest_service.RestService(site, self._authority, calls.note)
        )
        self._add_agent(
            "original",
            site,
            service.plan,
            calls,
            {
                "discovery_service_url": service.url,
                "metadata": "http://%s/computeMetadata/v1/" % self._metadata.host,
            },
            service.url + "token",
            HTTPLIB2_CA_CERTS=self._roots,
        )

    def _add_agent(self, name, site, plan, calls, options, token_uri, **environ):
        key = fixtures.make_key_file(_new(self._folder / (name + "-key")), token_uri)
        options = dict(options, service="bench", service_account_json_file=key)
        pairs = ["%s=%s" % pair for pair in options.items()]
        self.contenders[name] = Contender(
            lambda: self._launch(str(site), "agent", *pairs, **environ), plan, calls
        )

    def _add_core(self):
        site = self._install("core", "grpcio==%s" % bundled_core())
        service = self._stack.enter_context(secure.SecureService(self._authority))
        target = service.endpoint[len("https://") :]
        self.contenders["core"] = Contender(
            lambda: self._launch(str(site), "call", target, METHOD, self._roots)
        )

    def _install(self, name, requirement):
        site = self._folder / name
        peers.install(self.python, requirement, site)
        packages = [*site.glob("*.dist-info"), *site.glob("*.egg-info")]
        self.sizes[name] = len(packages), size_of(site)
        self.versions[name] = requirement.replace("==", " ")
        return str(site)

    @contextlib.contextmanager
    def _unless_it_fails(self, what):
        try:
            yield
        except peers.NotInstalled as e:
            self.left_out.append("%s is left out (%s)" % (what, e))

    def _ask(self, site, text):
        return subprocess.check_output(
            [self.python.path, "-c", text],
            universal_newlines=True,
            env=dict(program.clean_environment(self._folder), PYTHONPATH=str(site)),
        ).strip()


def _new(folder):
    folder.mkdir()
    return folder


def size_of(folder):
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def bundled_core():
    """The version of the core in our wheels, which PyPI's grpcio has too."""
    with open(os.path.join(ROOT, "third_party", "grpc.recipe"), encoding="utf-8") as f:
        return re.search("^VERSION=(.*)$", f.read(), re.MULTILINE).group(1)


def measure_starts(bench, rounds):
    """Pairs (name, {key: milliseconds}), round by round."""
    agents = {n: c for n, c in bench.contenders.items() if c.calls}
    for i in range(rounds + 1):
        for name, agent in agents.items():
            agent.calls.clear()
            with agent.launch() as subject:
                imported, began, held = map(float, subject.line().split())
                reached = agent.calls.wait("CreateProfile", 1) - began
            # The first brings files into memory.
            if i:
                yield name, {
                    "imported": 1e3 * imported,
                    "held": 1e3 * held,
                    "reached": 1e3 * reached,
                }


def measure_rest(bench, seconds):
    """Pairs (name, ({key: value}, {thread: (how many, wake-ups a second)})) of each
    while it waits for an assignment, beyond the program with nothing in it."""
    with contextlib.ExitStack() as stack:
        for contender in bench.contenders.values():
            if contender.calls:
                contender.calls.clear()
                contender.plan.extend(WINDOWS)
        pids = {
            name: stack.enter_context(contender.launch()).pid
            for name, contender in bench.contenders.items()
        }
        for contender in bench.contenders.values():
            if contender.calls:
                contender.calls.wait("CreateProfile", len(WINDOWS) + 1)
        time.sleep(SETTLE_S)
        memory = {name: proc.memory(pid) for name, pid in pids.items()}
        before = {n: (proc.wakeups(p), proc.cpu_seconds(p)) for n, p in pids.items()}
        time.sleep(seconds)
        after = {n: (proc.wakeups(p), proc.cpu_seconds(p)) for n, p in pids.items()}
        threads = {name: proc.threads(pid) for name, pid in pids.items()}
    for name in pids:
        if name == "nothing":
            continue
        wakeups = after[name][0] - before[name][0]
        counted = dict(wakeups)
        if name == "core":
            # Python's own part in grpcio is none of core's.
            counted = {t: n for t, n in wakeups.items() if t not in threads["nothing"]}
        values = {
            kind: (value - getattr(memory["nothing"], kind)) / 1e6
            for kind, value in memory[name]._asdict().items()
        }
        values.update(
            threads=sum(threads[name].values()) - sum(threads["nothing"].values()),
            wakeups=sum(counted.values()) / seconds,
            cpu=100 * (after[name][1] - before[name][1]) / seconds,
        )
        yield name, (
            values,
            {t: (nr, wakeups[t] / seconds) for t, nr in threads[name].items()},
        )


def cost_table(found, names):
    """`found` is {name: {key: [value]}}."""
    rows = []
    for key, words, digits, promise in ROWS:
        values = {name: found[name].get(key) for name in names}
        cells = [pages.with_spread(v, digits) if v else "" for v in values.values()]
        if "original" in values:
            theirs = values["original"] and statistics.median(values["original"])
            ours = statistics.median(values["ours"])
            cells.append("%.2g" % (ours / theirs) if theirs else "")
        rows.append([words, *cells, *judged(values, promise)])
    head = ["", *names]
    if "original" in names:
        head.append("ours / original")
    return pages.table([*head, "promised", "kept"], rows)


def judged(values, promise):
    """The promise, and whether the median of ours keeps it."""
    if promise == "core's own":
        if not values.get("core"):
            return [promise, ""]
        limit = statistics.median(values["core"])
    elif promise is None:
        return ["", ""]
    else:
        limit = promise
    kept = statistics.median(values["ours"]) <= limit
    return [str(promise), "yes" if kept else "**no**"]


def thread_table(runs, names):
    """Who wakes up; `runs` is {name: [{thread: (how many, wake-ups a second)}]}."""
    rows = []
    for name in names:
        for thread in sorted({t for run in runs[name] for t in run}):
            seen = [run[thread] for run in runs[name] if thread in run]
            nr = statistics.median_high([nr for nr, _ in seen])
            rows.append(
                [name, thread, str(nr), pages.with_spread([w for _, w in seen], 2)]
            )
    return pages.table(["", "thread", "how many", "wake-ups a second"], rows)


def circumstances(bench, options):
    ours = os.path.basename(options.ours) if options.ours else "the installed package"
    yield pages.machine(options.load)
    yield "- Python %s; %s" % (bench.python.label, ours)
    yield "- " + "; ".join("%s: %s" % pair for pair in bench.versions.items())
    yield "- %d starts of each in turn; %d rests of %d s, at once" % (
        options.rounds,
        options.rests,
        options.seconds,
    )
    for words in bench.left_out:
        yield "- " + words


def report(options):
    """The lines of Markdown."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        bench = Bench(options.python, options.ours, pathlib.Path(folder), stack)
        names = [n for n in bench.contenders if n != "nothing"]
        found = {name: {} for name in names}
        for name in names:
            if name in bench.sizes and name != "core":
                packages, size = bench.sizes[name]
                found[name].update(packages=[packages], disk=[size / 1e6])
        for name, values in measure_starts(bench, options.rounds):
            for key, value in values.items():
                found[name].setdefault(key, []).append(value)
        runs = {name: [] for name in names}
        for _ in range(options.rests):
            for name, (values, threads) in measure_rest(bench, options.seconds):
                runs[name].append(threads)
                for key, value in values.items():
                    found[name].setdefault(key, []).append(value)
    return [
        *circumstances(bench, options),
        "",
        *cost_table(found, names),
        "",
        *thread_table(runs, names),
    ]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours")
    parser.add_argument("--python")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write")
    options = parser.parse_args()
    options.python = peers.choose_python(options.python, *ORIGINAL_PYTHONS)
    options.rounds, options.rests, options.seconds = (
        (3, 1, 5) if options.quick else (15, 3, 60)
    )
    options.load = os.getloadavg()[0]
    return options


def main():
    options = arguments()
    pages.publish(options.write, "beside.py", report(options))


if __name__ == "__main__":
    main()
