"""`run`: a program under the profiler, against a local service of its own."""

import atexit
import importlib.machinery
import io
import os
import pkgutil
import runpy
import select
import subprocess
import sys
import types
import urllib.parse

from googlecloudprofiler import _agent, _config, _html, _serve, _store, _top

START_S = 15.0  # for the service to listen
END_S = 5.0  # for the service to let go of its standard output
LAST_S = 5.0  # for the last profile, which is cut short, to be uploaded
MAX_SHOWN = 200  # profiles of one run at its end, the newest

TABLES = ("CPU", "WALL")  # printed at the end, in this order

_FILE = (lambda: None).__code__.co_filename


class Service:
    """The local service as a process of its own.

    It ends when its standard input is closed, so it cannot outlive this process,
    however that ends. It is not a child of this process: a program that waits for
    its children must not find one it did not start.
    """

    def __init__(self, options):
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "googlecloudprofiler", "serve"),
                *("--address", "127.0.0.1:0", "--web", "off", "--quiet"),
                *("--detach", "--progress"),
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the program
        )
        if hasattr(os, "register_at_fork"):
            # A forked child would keep the service alive by its copy of the pipe.
            os.register_at_fork(after_in_child=self._forget)
        line = _read_line(self._process.stdout, START_S)
        self._process.wait()  # it went to the background
        if not line.startswith("listening on "):
            self.end()
            raise _serve.ServeError("the local service did not start")
        self.address = line[len("listening on ") :].strip()

    def _forget(self):
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()
            except OSError:
                pass

    def end(self):
        """Have it end, and wait until it has; says whether it did in time."""
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            with self._process.stdout as stream:
                return _wait_for_end(stream, END_S)
        except (OSError, ValueError):  # the program closed what it did not open
            return True


def _readable(stream, seconds):
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))


def _read_line(stream, seconds):
    """One line, or what came of it until the end; "" when none came in time."""
    line = b""
    while not line.endswith(b"\n") and _readable(stream, seconds):
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode("utf-8", "replace")


def _wait_for_end(stream, seconds):
    while _readable(stream, seconds):
        if not os.read(stream.fileno(), 4096):
            return True
    return False


def service_name(program):
    """A service's name made of a program's."""
    stem = os.path.basename(os.path.abspath(program))
    if stem.endswith((".py", ".pyc", ".pyz")):
        stem = stem.rpartition(".")[0]
    return _config.service_name(stem, "program")


class Session:
    """The service, the agent, and what is shown at the end.

    service: the name that profiles are stored under. directory: the store. options: of
    `serve`, less its address, store and limits. rate_hz: samples a second. limit:
    functions in a table. open_page: whether a browser is to show the profiles.
    """

    def __init__(self, service, directory, options, rate_hz, limit, open_page):
        self._name = service
        self._directory = directory
        self._rate_hz = rate_hz
        self._limit = limit
        self._open_page = open_page
        self._pid = os.getpid()
        decode = _serve.native().decode_profile
        with _store.Store(directory, decode, warn=_serve.complain) as store:
            self._last_seq = store.last_seq()
            limits = store.limits
        self._decode = decode
        self._service = Service(
            [
                *options,
                *("--store", directory),
                # It is not for a run to say how much the store keeps.
                *("--keep", str(limits.profiles)),
                *("--keep-bytes", str(limits.bytes)),
                *("--keep-age", "%ds" % limits.age_s),
            ]
        )

    def start(self):
        """Start the agent in this process."""
        # Registered first, called last: after the program's own exit handlers and
        # after all of its threads have ended.
        atexit.register(self.finish)
        try:
            _agent.start(
                service=self._name,
                api_endpoint="http://" + self._service.address,
                period_ms=1000.0 / self._rate_hz,
            )
        except (ValueError, NotImplementedError, OSError, RuntimeError) as e:
            atexit.unregister(self.finish)
            self._service.end()
            raise _serve.ServeError("cannot start the profiler: %s" % e) from e
        # It would throw away what is being collected.
        atexit.unregister(_agent.stop)

    def finish(self):
        """Stop everything and show on standard error what there is."""
        try:
            _agent.finish(LAST_S)
            if os.getpid() != self._pid:  # in a forked child that exits
                return
            if not self._service.end():
                _serve.complain("the local service takes long to end")
            self._show()
        except (_html.HtmlError, _store.StoreError) as e:
            _serve.complain(str(e))
        except KeyboardInterrupt:
            _serve.complain("interrupted: 'show' has the profiles")
        except (AttributeError, OSError, ValueError):
            pass  # nobody listens on standard error

    def _show(self):
        with _store.Store.open_existing(self._directory) as store:
            rows = store.find(target=self._name, after=self._last_seq)
            if not rows:
                _serve.complain("the program ended before a profile was collected")
                return
            shown = [(row, self._source(store, row)) for row in rows[:MAX_SHOWN]]
            # In the place of the last run's.
            page = os.path.join(store.directory, self._name + ".html")
        for type in TABLES:
            self._print_table([one for one in shown if one[0].type == type])
        _html.write(page, [source for _, source in shown])
        address = "file://" + urllib.parse.quote(page)
        _top.write(sys.stderr, ["", "As a page: " + address])
        if self._open_page:
            _open(address)

    def _print_table(self, shown):
        if not shown:
            return
        row, source = shown[0]
        title = source.title
        if len(shown) > 1:
            processes = {row.labels.get("process") for row, _ in shown}
            title = "%s profile of '%s', the sum of %d, of %d process%s" % (
                *(row.type, self._name, len(shown)),
                *(len(processes), "" if len(processes) == 1 else "es"),
            )
        width = _top.width_of(sys.stderr)
        profile = _top.merged([source.profile for _, source in shown])
        lines = _top.table(profile, title, limit=self._limit, width=width)
        _top.write(sys.stderr, ["", *lines])

    def _source(self, store, row):
        data = store.read(row)
        try:
            profile = self._decode(data)
        except (ValueError, RuntimeError) as e:
            raise _store.StoreError("'%s': %s" % (store.path(row), e)) from e
        return _html.source(store.title(row), data, profile)


def _open(address):
    # Not at the top: it is needed here only, and takes milliseconds.
    import webbrowser

    if not webbrowser.open(address):
        _serve.complain("there is no browser here to open the page")


def _fresh_main():
    """A new, empty `__main__` in the place of ours, for the program."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = module
    return module


def _has_first_path():
    """Whether sys.path[0] is the program's place (ours, as yet): not with -P or -I."""
    return not (sys.flags.isolated or getattr(sys.flags, "safe_path", False))


def run_module(name, arguments):
    """As `python -m name arguments`."""
    sys.argv[:] = ["-m", *arguments]
    if _has_first_path():
        sys.path[0] = os.getcwd() if sys.version_info >= (3, 7) else ""
    _fresh_main()
    # What `python -m` itself calls, by this name, in every version.
    runpy._run_module_as_main(name)


def run_script(path, arguments):
    """As `python path arguments`: a file, a compiled one, a directory or a zip."""
    sys.argv[:] = [path, *arguments]
    main = _fresh_main()
    # From 3.9 on, __file__ is absolute while sys.argv[0] stays as it was given.
    file = os.path.abspath(path) if sys.version_info >= (3, 9) else path
    if pkgutil.get_importer(file) is not None:  # a directory or a zip
        if _has_first_path():
            sys.path[0] = file
        else:
            sys.path.insert(0, file)
        runpy._run_module_as_main("__main__", alter_argv=False)
        return
    if _has_first_path():
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    code, loader = _load(path, file)
    main.__file__ = file
    main.__cached__ = None
    main.__loader__ = loader("__main__", file)
    exec(code, main.__dict__)


def _load(path, file):
    """The code of a script, and the kind of loader that Python would name."""
    opener = getattr(io, "open_code", io.FileIO)  # 3.8 has the first
    with opener(path) as stream:
        code = pkgutil.read_code(stream)
        if code is not None:
            return code, importlib.machinery.SourcelessFileLoader
        stream.seek(0)
        source = stream.read()
    code = compile(source, file, "exec", dont_inherit=True)
    return code, importlib.machinery.SourceFileLoader


def _without_our_frames(traceback):
    """A traceback from the first frame below ours on, which is where Python's own
    begins. None where there is none: the program does not compile."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_code.co_filename != _FILE:
        inner = inner.tb_next
    while inner is not None and inner.tb_frame.f_code.co_filename == _FILE:
        inner = inner.tb_next
    return inner


def run_program(program, is_module, arguments):
    """Run it as Python would; an exception of it goes on to Python, whose hook is
    shown a traceback without our frames."""
    try:
        if is_module:
            run_module(program, arguments)
        else:
            run_script(program, arguments)
    except SystemExit:
        raise
    except BaseException:
        hook = sys.excepthook

        def show(kind, value, traceback):
            traceback = _without_our_frames(traceback)
            hook(kind, value.with_traceback(traceback), traceback)

        sys.excepthook = show
        raise
