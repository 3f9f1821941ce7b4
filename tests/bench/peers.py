"""The profilers that are measured: which there are, where, and how each is run.

Usage: peers.py [PYTHON]

installs what requirements/peers.txt names into build/peers, for one Python, and says
what is there. What cannot be had is left out, and said.
"""

import collections
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests" / d) for d in ("e2e", "interpreters")]

import find  # noqa: E402
import pages  # noqa: E402
import records  # noqa: E402

REQUIREMENTS = ROOT / "requirements" / "peers.txt"
# Python's releases that all of them are for.
PYTHONS = (3, 9), (3, 12)

# Longer than any run: those outside are told by a signal when it is over.
LONG_S = 3600

BOTH = "CPU", "WALL"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


class NotInstalled(Exception):
    """A package of PyPI's is not to be had here."""


def install(python, requirement, site):
    """pip install it for a Python into a folder of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python.path, "install",
         "--quiet", "--disable-pip-version-check", "--no-warn-script-location",
         "--root-user-action=ignore", "--target", str(site), *requirement.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(str(site), ignore_errors=True)
        raise NotInstalled(
            "pip install %s: %s" % (requirement, done.stdout.splitlines()[-1])
        )


def choose_python(path=None, low=PYTHONS[0], high=PYTHONS[1]):
    """The Python at `path`, or the newest that is here and within these."""
    found = [p for p in find.pythons() if p.served and not p.debug]
    if path:
        found = [p for p in found if os.path.samefile(p.path, path)]
        if not found:
            raise SystemExit("%s is no Python that is served" % path)
    fitting = [p for p in found if low <= p.version[:2] <= high]
    return max(fitting or found, key=lambda p: p.version)


class Contender(
    collections.namedtuple("Contender", "name python site inside command read kinds")
):
    """A profiler on a Python.

    `inside` is its name in inside.py, or "nothing"; then `command(pid, kind, hz, path)`
    runs it from outside. read(path, kind, hz) is what it wrote, as records.py has it.
    """

    __slots__ = ()

    def label(self):
        return "%s, %s" % (self.name, ".".join(map(str, self.python.version[:2])))


def read_pprofs(path, kind, hz):
    """Of all files that begin with `path`; pprof is the same for all who write it."""
    folder, prefix = os.path.split(path)
    found = []
    for file in sorted(pathlib.Path(folder).glob(prefix + "*.pprof")):
        found += records.read_pprof(file.read_bytes(), kind)
    return found


def ours(python):
    """The installed package, which serves every Python, in a folder without others."""
    import googlecloudprofiler

    package = pathlib.Path(googlecloudprofiler.__file__).resolve().parent
    site = ROOT / "build" / "peers" / "ours"
    site.mkdir(parents=True, exist_ok=True)
    link = site / "googlecloudprofiler"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(package)
    return Contender(
        "ours", python, str(site), "ours", None, read_pprofs, BOTH)


def inside(profiler, kinds=BOTH, engine=""):
    def contender(name, python, folder):
        return Contender(
            name + engine, python, str(folder), profiler, None, read_pprofs, kinds)

    return contender


def outside(name, python, command, read):
    return Contender(name, python, "", "nothing", command, read, BOTH)


def py_spy(name, python, folder):
    def command(pid, kind, hz, path):
        idle = ["--idle"] if kind == "WALL" else []
        return [str(folder / "bin" / "py-spy"), "record", "--pid", str(pid), "--rate",
                str(hz), "--duration", str(LONG_S), "--format", "raw", "--output", path,
                *idle]

    def read(path, kind, hz):
        return records.read_collapsed(path, r"(.+) \(.*\)$", 1 / hz)

    return outside(name, python, command, read)


def newer_libc():
    """What runs a program that this system's C library is too old for: that of the
    newest Pythons, where tests/interpreters/debian.sh has brought them."""
    name = "sid-%s" % DEBIAN.get(os.uname().machine)
    for root in pathlib.Path(find.cache()).glob(name):
        loader = next(root.glob("usr/lib*/ld-linux*"))
        libraries = next(root.glob("usr/lib/*/libc.so.6")).parent
        return [str(loader), "--library-path", str(libraries)]
    return []


def austin(name, python, folder):
    program = [str(folder / "bin" / "austin")]
    if subprocess.call([*program, "--version"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL):
        program = newer_libc() + program

    def command(pid, kind, hz, path):
        cpu = ["--cpu"] if kind == "CPU" else []
        return [*program, "--pid", str(pid), "--interval",
                "%dus" % (1e6 / hz), "--output", path, *cpu]

    def read(path, kind, hz):
        subprocess.run(
            [python.path, str(folder / "bin" / "mojo2austin"), path, path + ".txt"],
            env=dict(os.environ, PYTHONPATH=str(folder)), check=True)
        return records.read_collapsed(path + ".txt", r".+:(.+):\d+", 1e-6)

    return outside(name, python, command, read)


def tachyon(name, python):
    def command(pid, kind, hz, path):
        return [python.path, "-m", "profiling.sampling", "attach", "--all-threads",
                "--mode", kind.lower(), "--sampling-rate", str(hz), "--duration",
                str(LONG_S), "--collapsed", "--output", path, str(pid)]

    def read(path, kind, hz):
        return records.read_collapsed(path, r".+:(.+):-?\d+$", 1 / hz)

    return outside(name, python, command, read)


# Those that a requirement brings.
PEERS = {
    "google-cloud-profiler": [inside("original", ("CPU",))],
    "ddtrace": [inside("ddtrace")],
    "pyroscope-io": [
        inside("pyroscope"),
        inside("pyroscope-stack", ("CPU",), " (Stack)"),
    ],
    "py-spy": [py_spy],
    "austin-dist": [austin],
}


def requirements():
    """Pairs (name, what to install)."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.partition("==")[0], line


def circumstances(options, words):
    """The lines that say when, where, on what and how; `words` are the script's."""
    from googlecloudprofiler.__version__ import __version__

    labels = {c.python.label: None for c in options.contenders}
    command = [os.path.relpath(sys.argv[0], str(ROOT)), *sys.argv[1:]]
    yield pages.machine(options.load)
    yield "- ours: %s; Python %s" % (__version__, ", ".join(labels))
    yield "- `%s`: %s" % (" ".join(command), words)
    for line in options.left_out:
        yield "- " + line


def folder_of(python, requirement):
    return ROOT / "build" / "peers" / python.label / requirement


def contenders(python):
    """(those that are here, lines about those that are not)."""
    found = [ours(python)]
    left_out = []
    for name, requirement in requirements():
        folder = folder_of(python, requirement)
        if not folder.exists():
            left_out.append(
                "%s is not installed for Python %s" % (requirement, python.label))
            continue
        words = requirement.split()[0].replace("==", " ")
        found += [make(words, python, folder) for make in PEERS[name]]
    newest = choose_python(None, (3, 15), (3, 15))
    if newest.version >= (3, 15):
        found.append(ours(newest))
        found.append(tachyon("profiling.sampling", newest))
    else:
        left_out.append("profiling.sampling is not here, as no Python 3.15 is")
    return found, left_out


def nothing(python):
    """The program without a profiler."""
    return Contender("nothing", python, "", "nothing", None, None, ())


def add_arguments(parser):
    """What each benchmark of these takes; choose() makes of it what they mean."""
    parser.add_argument("--python", help="runs all but what is 3.15's own")
    parser.add_argument("--only", help="profilers, by how their names begin")
    parser.add_argument("--programs", help="names of programs, with commas between")
    parser.add_argument("--write", help="put the output into this page, and draw")


def choose(options):
    """Set contenders, left_out, python, programs (None for all) and load."""
    options.load = os.getloadavg()[0]
    options.python = choose_python(options.python)
    options.contenders, options.left_out = contenders(options.python)
    if options.only:
        begins = tuple(options.only.split(","))
        options.contenders = [
            c for c in options.contenders if c.name.startswith(begins)]
    if options.programs:
        options.programs = options.programs.split(",")


def main():
    python = choose_python(*sys.argv[1:2])
    for _, requirement in requirements():
        folder = folder_of(python, requirement)
        try:
            if not folder.exists():
                install(python, requirement, folder)
        except NotInstalled as e:
            print("left out: %s" % e)
    found, left_out = contenders(python)
    for contender in found:
        print("%-28s Python %s" % (contender.name, contender.python.label))
    for words in left_out:
        print(words)


if __name__ == "__main__":
    main()
