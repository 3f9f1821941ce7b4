"""The bundled build: what third_party/ names by hash, fetched, built for a target with
zig, and kept in a cache by the hash of what it was made from:

    sources/    what was downloaded; what lies there with the right hash is taken
    unpacked/   of it what serves more than one build
    libraries/  the static archives of gRPC core: seven minutes on two CPUs a target
    native/     those of what our own module needs: seconds
    TARGET-*/   _transport.so: seconds
    zig/        the compiler's own cache

All of it may be deleted at any time. Needs cmake 3.26, ninja, make, perl, readelf,
and for the download pip, cargo and apt.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGETS = ["%s-linux-%s" % (machine, libc) for machine in ("x86_64", "aarch64")
           for libc in ("gnu.2.17", "musl")]

# What the archives, and then the result, are made from besides their sources.
OF_LIBRARIES = ["third_party/grpc.recipe", "third_party/openssl.recipe",
                "third_party/zig.recipe", "third_party/core-sources.txt",
                "third_party/alone.txt", "cmake/bundled/libraries/CMakeLists.txt",
                "cmake/bundled/openssl.sh", "cmake/bundled/zig.cmake",
                "src/transport/bundled/engine.cc",
                "src/transport/bundled/environment.cc",
                "src/transport/bundled/plugins.cc"]
OF_NATIVE = ["third_party/grpc.recipe", "third_party/protobuf-c.recipe",
             "third_party/json-c.recipe", "third_party/zig.recipe",
             "cmake/bundled/native/CMakeLists.txt", "cmake/bundled/zig.cmake"]
OF_RESULT = ["cmake/bundled/CMakeLists.txt", "cmake/warnings.cmake",
             "src/transport", "src/base"]

# What this machine has set for its own compiler.
NOT_FOR_A_TARGET = {"CC", "CXX", "AR", "RANLIB", "CFLAGS", "CXXFLAGS", "CPPFLAGS",
                    "LDFLAGS", "CROSS_COMPILE", "MAKEFLAGS"}


class Failure(Exception):
    """Something is wrong, told in words for a person."""


def say(words):
    sys.stderr.write("bundle: %s\n" % words)
    sys.stderr.flush()


def sha256(path):
    """The hash of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_tree(names, *more):
    """The hash of files and folders of the repository, by name and content, and of
    words."""
    digest = hashlib.sha256(repr(more).encode())
    for name in names:
        path = os.path.join(ROOT, name)
        files = [path] if os.path.isfile(path) else sorted(
            os.path.join(folder, f) for folder, _, fs in os.walk(path) for f in fs)
        for file in files:
            digest.update(("%s %s\n" % (
                os.path.relpath(file, ROOT), sha256(file))).encode())
    return digest.hexdigest()


def recipe(name):
    """A file of KEY=value lines in third_party/, as a dict. FILE and SHA256 may
    depend on the machine."""
    found = {}
    with open(os.path.join(ROOT, "third_party", name + ".recipe"),
              encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                key, _, value = line.strip().partition("=")
                found[key] = value
    for key in ("FILE", "SHA256"):
        if key not in found:
            found[key] = found.get("%s_%s" % (key, platform.machine()))
        if not found[key]:
            raise Failure("third_party/%s.recipe has no %s for %s"
                          % (name, key, platform.machine()))
    return found


def run(log, argv, **more):
    """Run a program, its words into the file `log`, whose end is shown if it fails."""
    with open(log, "ab") as out:
        done = subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=out,
                               stderr=subprocess.STDOUT, **more)
    if done:
        with open(log, encoding="utf-8", errors="replace") as f:
            sys.stderr.write("".join(f.readlines()[-40:]))
        raise Failure("%s failed" % " ".join(argv[:3]))


def environment(**more):
    """This one, with our tools first and nothing of the machine's own compiler."""
    env = {k: v for k, v in os.environ.items() if k not in NOT_FOR_A_TARGET}
    tools = os.path.join(ROOT, ".venv", "bin")
    return dict(env, PATH=tools + os.pathsep + env["PATH"], **more)


@contextlib.contextmanager
def made(path):
    """A new folder that becomes `path` when the body ends well, and else nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    work = tempfile.mkdtemp(prefix=".making-", dir=os.path.dirname(path))
    try:
        yield work
        os.chmod(work, 0o755)
        os.rename(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Builder:
    """One target, in one cache."""

    def __init__(self, cache, target, jobs):
        self.cache, self.target, self.jobs = cache, target, jobs
        self.grpc, self.openssl, self.zig = map(recipe, ("grpc", "openssl", "zig"))
        self.env = environment(ZIG_GLOBAL_CACHE_DIR=os.path.join(cache, "zig"),
                               ZIG_LOCAL_CACHE_DIR=os.path.join(cache, "zig"))

    def source(self, of):
        """The path of a recipe's file, downloaded if need be."""
        path = os.path.join(self.cache, "sources", of["FILE"])
        if os.path.exists(path) and sha256(path) == of["SHA256"]:
            return path
        say("fetching %s %s" % (of["NAME"], of["VERSION"]))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
            argv = {
                "index": [
                    sys.executable, "-I",
                    os.path.join(ROOT, "third_party", "fetch-index"),
                    of["PROJECT"], of["FILE"], folder],
                "debian": [
                    os.path.join(ROOT, "third_party", "fetch-debian"),
                    of["PROJECT"], of["FILE"], folder,
                    *of.get("SUITES", "").split()],
                "crate": [
                    os.path.join(ROOT, "third_party", "fetch-crate"),
                    of["PROJECT"], of["FILE"], folder],
            }[of["FROM"]]
            if subprocess.call(argv, stdout=sys.stderr):
                raise Failure("cannot fetch %s: put it into %s by hand"
                              % (of["FILE"], os.path.dirname(path)))
            file = os.path.join(folder, of["FILE"])
            if sha256(file) != of["SHA256"]:
                raise Failure("%s is not what its recipe says: its sha256 is %s"
                              % (of["FILE"], sha256(file)))
            os.replace(file, path)
        return path

    def unpacked(self, of):
        """The folder of a recipe's file, unpacked."""
        path = os.path.join(self.cache, "unpacked", "%s-%s-%s" % (
            of["NAME"], of["VERSION"], of["SHA256"][:16]))
        if not os.path.isdir(path):
            source = self.source(of)
            with made(path) as work:
                unpack(source, work)
        return path

    def compiler(self):
        """The path of zig."""
        return os.path.join(self.unpacked(self.zig), "ziglang", "zig")

    def cmake(self, log, source, build, prefix=None, **defines):
        """Configure and build a project of cmake/bundled for the target, and install
        it below `prefix`, if there is one."""
        defines.update(CMAKE_BUILD_TYPE="Release", CPROF_ZIG=self.compiler(),
                       CPROF_TARGET=self.target, GRPC=self.unpacked(self.grpc))
        program = os.environ.get("CMAKE") or "cmake"
        run(log, [program, "-G", "Ninja", "-S", os.path.join(ROOT, source),
                  "-B", build, "--toolchain",
                  os.path.join(ROOT, "cmake/bundled/zig.cmake")]
            + ["-D%s=%s" % item for item in sorted(defines.items())], env=self.env)
        run(log, [program, "--build", build, "-j", str(self.jobs)], env=self.env)
        if prefix:
            run(log, [program, "--install", build, "--prefix", prefix])

    def build_openssl(self, log, work, prefix):
        """OpenSSL's archives and headers below `prefix`."""
        unpack(self.source(self.openssl), work)
        source = os.path.join(work, "openssl")
        env = dict(self.env, PATH=os.path.dirname(self.compiler())
                   + os.pathsep + self.env["PATH"])
        run(log, [os.path.join(ROOT, "cmake/bundled/openssl.sh"), self.target,
                  str(self.jobs)], cwd=source, env=env)
        os.makedirs(os.path.join(prefix, "lib"))
        for name in ("libcrypto.a", "libssl.a"):
            shutil.move(os.path.join(source, name), os.path.join(prefix, "lib"))
        shutil.copytree(os.path.join(source, "include", "openssl"),
                        os.path.join(prefix, "include", "openssl"))

    def libraries(self):
        """The folder of the static archives, built if need be; and its hash."""
        key = sha256_of_tree(OF_LIBRARIES, self.target, platform.machine())
        path = os.path.join(self.cache, "libraries",
                            "%s-%s" % (self.target, key[:16]))
        if os.path.isdir(path):
            return path, key
        for of in (self.zig, self.grpc):
            self.unpacked(of)
        say("building the libraries for %s: some minutes" % self.target)
        begin = time.time()
        with made(path) as work, scratch(self.cache) as aside:
            log = os.path.join(work, "log")
            self.build_openssl(log, aside, work)
            self.cmake(log, "cmake/bundled/libraries", os.path.join(aside, "build"),
                       work, OPENSSL=work)
        say("the libraries took %d s" % (time.time() - begin))
        return path, key

    def native(self):
        """The folder of the static archives that our own module needs."""
        key = sha256_of_tree(OF_NATIVE, self.target, platform.machine())
        path = os.path.join(self.cache, "native", "%s-%s" % (self.target, key[:16]))
        if os.path.isdir(path):
            return path
        say("building zlib, protobuf-c and json-c for %s" % self.target)
        with made(path) as work, scratch(self.cache) as aside:
            self.cmake(os.path.join(work, "log"), "cmake/bundled/native",
                       os.path.join(aside, "build"), work,
                       PROTOBUF_C=self.unpacked(recipe("protobuf-c")),
                       JSON_C=self.unpacked(recipe("json-c")))
        return path

    def transport(self):
        """The path of _transport.so, built and checked if need be."""
        libraries, key = self.libraries()
        key = sha256_of_tree(OF_RESULT, key)
        path = os.path.join(self.cache, "%s-%s" % (self.target, key[:16]))
        file = os.path.join(path, "_transport.so")
        if os.path.isfile(file):
            return file
        say("linking for %s" % self.target)
        with made(path) as work, scratch(self.cache) as aside:
            build = os.path.join(aside, "build")
            self.cmake(os.path.join(work, "log"), "cmake/bundled", build,
                       LIBRARIES=libraries)
            result = os.path.join(build, "_transport.so")
            if subprocess.call([sys.executable, os.path.join(
                    ROOT, "scripts", "check-transport"), result, self.target],
                    stdout=sys.stderr):
                raise Failure("the result is not fit for %s" % self.target)
            shutil.move(result, work)
        return file


@contextlib.contextmanager
def scratch(cache):
    """A folder for one build."""
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as folder:
        yield folder


def unpack(source, folder):
    """Unpack a tarball without its one outer folder, or a wheel as it is."""
    if source.endswith(".whl"):
        with zipfile.ZipFile(source) as wheel:
            for member in wheel.infolist():
                path = wheel.extract(member, folder)
                mode = member.external_attr >> 16
                if mode & 0o111 and os.path.isfile(path):
                    os.chmod(path, 0o755)
        return
    subprocess.check_call(["tar", "-xf", source, "-C", folder, "--no-same-owner",
                           "--strip-components=1"])


@contextlib.contextmanager
def alone(cache):
    """One build at a time in a cache: whoever comes second finds what it needs, and
    nothing of one that was killed."""
    with open(os.path.join(cache, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another build in %s" % cache)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for pattern in (".building-*", ".making-*", "*/.making-*"):
            for path in glob.glob(os.path.join(cache, pattern)):
                shutil.rmtree(path)
        yield


def here():
    """The target that runs on this machine."""
    libc = "gnu.2.17" if platform.libc_ver()[0] == "glibc" else "musl"
    return "%s-linux-%s" % (platform.machine(), libc)


def add_arguments(parser):
    """What all that build have in common."""
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--cache", default=os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
            "google-cloud-profiler", "transport"))


def with_builder(args, target, body):
    """body(Builder), alone in the cache; an exit status, with a word if it fails."""
    cache = os.path.abspath(args.cache)
    os.makedirs(cache, exist_ok=True)
    try:
        with alone(cache):
            body(Builder(cache, target, args.jobs))
    except (Failure, OSError, subprocess.CalledProcessError) as why:
        say(why)
        return 1
    return 0
