"""`import`: pprof files by other writers, into a store that `show` reads."""

import gzip
import hashlib
import os
import re
import subprocess
import sys

import pytest
from fake_service import pprof
from googlecloudprofiler import _store
from profiles import CPU, find_go, made

GO = """
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

var kept [][]byte

func keepMemory() {
	for i := 0; i < 64; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
}

func spin() {
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
	}
}

func contend() {
	var lock sync.Mutex
	var done sync.WaitGroup
	for i := 0; i < 4; i++ {
		done.Add(1)
		go func() {
			lock.Lock()
			time.Sleep(5 * time.Millisecond)
			lock.Unlock()
			done.Done()
		}()
	}
	done.Wait()
}

func create(name string) *os.File {
	file, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	return file
}

func waitForever(hold chan bool) {
	<-hold
}

func main() {
	runtime.MemProfileRate = 4096
	runtime.SetMutexProfileFraction(1)
	file := create("cpu.pprof")
	pprof.StartCPUProfile(file)
	spin()
	pprof.StopCPUProfile()
	file.Close()
	keepMemory()
	contend()
	go waitForever(make(chan bool))
	time.Sleep(10 * time.Millisecond)
	runtime.GC()
	for _, name := range []string{"heap", "allocs", "goroutine", "mutex"} {
		file := create(name + ".pb.gz")
		pprof.Lookup(name).WriteTo(file, 0)
		file.Close()
	}
}
"""


@pytest.fixture(scope="session")
def go_files(tmp_path_factory):
    """A folder with profiles that Go's own library has written."""
    go = find_go()
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(GO)
    environ = dict(os.environ, GO111MODULE="off", GOFLAGS="")
    subprocess.run(
        [go, "run", "main.go"], cwd=str(folder), env=environ, check=True, timeout=170
    )
    return folder


@pytest.fixture
def tool(tmp_path):
    """tool(command, *arguments, data=None): (status, standard output, error); with a
    store of its own."""

    def call(command, *arguments, data=b""):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "googlecloudprofiler", command),
                *("--store", str(tmp_path / "store"), *map(str, arguments)),
            ],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return call


ONE_CPU = made(*CPU, samples=[(1, 2 * 10**9)])


@pytest.mark.parametrize(
    "name, kind, words",
    [
        ("cpu.pprof", "CPU", ["main.spin", "of cpu"]),
        ("heap.pb.gz", "HEAP", ["main.keepMemory", "MB of inuse_space"]),
        ("allocs.pb.gz", "HEAP_ALLOC", ["main.keepMemory", "MB of alloc_space"]),
        ("goroutine.pb.gz", "THREADS", ["main.waitForever", "of goroutine"]),
        ("mutex.pb.gz", "CONTENTION", ["main.contend", "ms of delay"]),
    ],
)
def test_what_go_writes_is_known_and_shown(tool, go_files, name, kind, words):
    status, out, err = tool("import", go_files / name)
    service = name.partition(".")[0]
    assert (status, err) == (0, "")
    assert out.startswith("stored a %s profile of '%s'" % (kind, service))
    status, out, _ = tool("show", "--type", kind, "--sort", "total")
    assert status == 0
    for word in ["%s profile of '%s'" % (kind, service), *words]:
        assert word in out


def test_all_of_gos_files_make_one_page(tool, go_files, tmp_path):
    names = ["cpu.pprof", "heap.pb.gz", "goroutine.pb.gz", "mutex.pb.gz"]
    assert tool("import", *[go_files / name for name in names])[0] == 0
    assert tool("show", "--html", tmp_path / "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for word in ("main.keepMemory", "inuse_space", "goroutine", "delay"):
        assert word in page


def test_options_say_what_the_file_does_not(tool):
    given = ("--service", "shop", "--service-version", "v2", "--zone", "z1")
    status, out, err = tool("import", "-", *given, "--type", "wall", data=ONE_CPU)
    assert (status, err) == (0, "")
    assert out.startswith("stored a WALL profile of 'shop'")
    store = os.path.dirname(re.search(r": (\S+)$", out.strip()).group(1))
    with _store.Store.open_existing(store) as opened:
        (row,) = opened.find()
        assert row.labels == {"version": "v2", "zone": "z1"}
        assert (row.time_unix_ns, row.duration_ns) == (10**18, 3 * 10**9)
        # As it came, but packed: what is in a store is gzipped.
        assert gzip.decompress(opened.read(row)) == ONE_CPU


@pytest.mark.parametrize(
    "name, service",
    [
        ("Check Out.pb.gz", "check-out"),
        ("api.2024.prof", "api.2024"),
        ("x.GZ", "x"),
        (".pprof", "unknown"),
    ],
)
def test_the_service_is_the_files_name(tool, tmp_path, name, service):
    (tmp_path / name).write_bytes(ONE_CPU)
    assert "of '%s'" % service in tool("import", tmp_path / name)[1]


def test_the_same_bytes_are_one_profile(tool, tmp_path):
    (tmp_path / "a.pb.gz").write_bytes(gzip.compress(ONE_CPU))
    (tmp_path / "b.pb.gz").write_bytes((tmp_path / "a.pb.gz").read_bytes())
    status, out, err = tool("import", tmp_path / "a.pb.gz", tmp_path / "b.pb.gz")
    assert (status, err) == (0, "")
    digest = hashlib.sha256((tmp_path / "a.pb.gz").read_bytes()).hexdigest()
    assert ("is already stored as " + digest[:32]) in out
    assert len(tool("show", "--list")[1].splitlines()) == 2


def test_one_bad_file_does_not_keep_the_others_out(tool, tmp_path):
    (tmp_path / "bad").write_bytes(b"no profile")
    (tmp_path / "good").write_bytes(ONE_CPU)
    status, out, err = tool("import", tmp_path / "bad", tmp_path / "good")
    assert status == 1
    assert "stored a CPU profile of 'good'" in out
    assert err.count("\n") == 1 and "cannot import '%s" % (tmp_path / "bad") in err


def bomb():
    return gzip.compress(bytes(4 << 20))


def deep():
    profile = pprof.Profile.FromString(ONE_CPU)
    profile.sample[0].location_id.extend([1] * (64 << 10))
    return profile.SerializeToString()


def without_function():
    profile = pprof.Profile.FromString(ONE_CPU)
    del profile.function[:]
    return profile.SerializeToString()


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "it is empty"),
        (b"no profile", "no valid Profile message"),
        (bomb(), "inflates to more than 250 times its size"),
        (gzip.compress(ONE_CPU)[:-9], "ends too early"),
        (deep(), "a stack has more than 65536 frames"),
        (without_function(), "there is no function 1"),
        (made(("\x1b[2Jfish", "x")), "(?[2Jfish/x) tells no type: give --type"),
    ],
    ids=["empty", "other", "bomb", "cut", "deep", "reference", "type"],
)
def test_hostile_files_are_refused_in_words(tool, data, words):
    status, out, err = tool("import", "-", data=data)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "cannot import standard input: " in err and words in err


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to("/dev/zero"), "it has more than 256 MiB"),
    ],
)
def test_what_is_no_file_is_told(tool, tmp_path, make, words):
    make(tmp_path / "x")
    status, _, err = tool("import", tmp_path / "x")
    assert status == 1 and words in err and err.count("\n") == 1


def test_profiles_are_imported_beside_a_service_that_runs(tool, tmp_path):
    serve = subprocess.Popen(
        [
            *(sys.executable, "-m", "googlecloudprofiler", "serve", "--address"),
            *("127.0.0.1:0", "--store", str(tmp_path / "store"), "--end-with-stdin"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert serve.stdout.readline().startswith(b"listening on")
    assert tool("import", "-", data=ONE_CPU)[0] == 0
    assert serve.poll() is None
    serve.communicate(timeout=60)
    assert serve.returncode == 0
    assert "of 'stdin'" in tool("show")[1]
