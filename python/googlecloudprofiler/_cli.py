"""The command line: `python -m googlecloudprofiler serve | import | run | show |
doctor`.

Exit status: 0 for success, 1 for a failure (one line on standard error says which),
2 for wrong arguments; `run` ends as the program it runs.
"""

import argparse
import math
import os
import sys

from googlecloudprofiler import (
    _access,
    _config,
    _doctor,
    _html,
    _import,
    _retention,
    _run,
    _serve,
    _store,
    _top,
    _types,
)

PROGRAM = "python -m googlecloudprofiler"
DEFAULT_ADDRESS = "127.0.0.1:8181"
DEFAULT_WEB = "127.0.0.1:8180"

# The service's own limits for a duration, and a day for an interval.
MIN_DURATION_S, MAX_DURATION_S = 0.1, 300.0
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 86400.0


class UsageError(Exception):
    """Wrong arguments; one line for a person."""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options):
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message):
        raise UsageError("%s: %s (--help says more)" % (self.prog, message))


def _number(of, least, most):
    """An argument's type: a number of something, within bounds."""

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                "'%s' is not a number of %s from %g to %g" % (text, of, least, most)
            )
        return value

    return parse


def _seconds(least, most):
    return _number("seconds", least, most)


def _rate():
    low, high = _config.PERIOD_MS_RANGE
    return _number("samples a second", 1000.0 / high, 1000.0 / low)


def _count(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 10**9:
        raise argparse.ArgumentTypeError("'%s' is not a number from 1 on" % text)
    return value


def _parsed(parse):
    """An argument's type of a function that raises ValueError with the words."""

    def parsed(text):
        try:
            return parse(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(str(e)) from e

    return parsed


def _type_list(text):
    names = [name.strip().upper() for name in text.split(",")]
    for name in names:
        if name not in _types.NUMBERS:
            raise argparse.ArgumentTypeError(
                "'%s' is none of %s" % (name, ", ".join(_types.NUMBERS))
            )
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError("'%s' names a type twice" % text)
    return names


def _one_type(text):
    names = _type_list(text)
    if len(names) > 1:
        raise argparse.ArgumentTypeError("'%s' is more than one type" % text)
    return names[0]


def _add_store(parser):
    parser.add_argument(
        "--store",
        metavar="DIR",
        default=_store.default_directory(),
        help="where profiles are kept (%(default)s)",
    )


def _add_rhythm(parser, interval_s, duration_s):
    parser.add_argument(
        "--interval",
        metavar="S",
        type=_seconds(MIN_INTERVAL_S, MAX_INTERVAL_S),
        default=interval_s,
        help="collect each type once in this many seconds for each deployment, taking"
        " its processes in turns (%(default)g)",
    )
    parser.add_argument(
        "--duration",
        metavar="S",
        type=_seconds(MIN_DURATION_S, MAX_DURATION_S),
        default=duration_s,
        help="how many seconds of a program one profile covers (%(default)g)",
    )
    parser.add_argument(
        "--types",
        metavar="LIST",
        type=_type_list,
        default=list(_types.NUMBERS),
        help="what is collected, by commas (all that an agent offers)",
    )


def _add_limits(parser):
    kept = _retention.DEFAULT
    parser.add_argument(
        "--keep",
        metavar="N",
        type=_count,
        default=kept.profiles,
        help="how many profiles stay stored; the oldest are deleted (%(default)d)",
    )
    parser.add_argument(
        "--keep-bytes",
        metavar="SIZE",
        type=_parsed(_retention.parse_bytes),
        default=kept.bytes,
        help="how large they may be together: 500M, 10G (1G)",
    )
    parser.add_argument(
        "--keep-age",
        metavar="TIME",
        type=_parsed(_retention.parse_age),
        default=kept.age_s,
        help="how long they stay: 12h, 30d, 8w (30d)",
    )


def _add_access(parser):
    parser.add_argument(
        "--tls-cert",
        metavar="FILE",
        help="speak TLS, with the certificate (or chain) in this PEM file",
    )
    parser.add_argument(
        "--tls-key",
        metavar="FILE",
        help="the certificate's key, in PEM without a password",
    )
    parser.add_argument(
        "--token",
        metavar="FILE",
        help="serve only agents that have the token in this file: one word of 16 to"
        " 4096 bytes, as 'openssl rand -hex 32' makes. They read it from the file that"
        " GOOGLE_CLOUD_PROFILER_TOKEN_FILE names",
    )


def _find_access(parser, options):
    """The Access that the options name; says which of its files are open to others."""
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    try:
        access = _access.find(
            _serve.native(), options.tls_cert, options.tls_key, options.token
        )
    except _access.AccessError as e:
        raise _serve.ServeError(str(e)) from None
    for path in (options.tls_key, options.token):
        if path and _access.is_open_to_all(path):
            _serve.complain(_access.OPEN_TO_ALL % path)
    return access


def _serve_parser():
    parser = _Parser(
        prog=PROGRAM + " serve",
        description="Run a local service that speaks the Cloud Profiler API: agents"
        " connect to it with GOOGLE_CLOUD_PROFILER_ENDPOINT=http://HOST:PORT, or"
        " https://HOST:PORT where it speaks TLS.",
        epilog="The first line on standard output is 'listening on ADDRESS'. SIGTERM"
        " and SIGINT end the service with status 0, or with 1 where --until has not"
        " been reached.",
    )
    parser.add_argument(
        "--address",
        default=DEFAULT_ADDRESS,
        help="unix:PATH or a host:port (port 0 for a free one), which off loopback, as"
        " 0.0.0.0:8181, needs --tls-cert, --tls-key and --token (%(default)s)",
    )
    _add_access(parser)
    parser.add_argument(
        "--web",
        metavar="HOST:PORT",
        help="where browsers find the page (port 0 for a free one), or 'off' (%s, or a"
        " free port where that is taken)" % DEFAULT_WEB,
    )
    _add_store(parser)
    _add_rhythm(parser, 60.0, 10.0)
    parser.add_argument(
        "--until",
        metavar="N",
        type=_count,
        help="end with status 0 once N profiles are stored",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds(0.0, MAX_INTERVAL_S * 365),
        help="end after this many seconds, with status 1 if --until was given",
    )
    _add_limits(parser)
    parser.add_argument(
        "--end-with-stdin",
        action="store_true",
        help="end when standard input is closed, so with whoever holds its other end",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="go on in the background and end with standard input",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="print only where the service and its page are, and the store",
    )
    parser.add_argument(
        "--progress",
        action="store_true",
        help="keep a line on standard error, if a terminal, of what is stored",
    )
    return parser


def _places_of_page(web):
    """The first that can be had is the page's: who wants none of his own choice gets
    one whoever else has a page."""
    if web is None:
        return (DEFAULT_WEB, "127.0.0.1:0")
    return () if web in ("", "off") else (web,)


def _serve_command(arguments):
    parser = _serve_parser()
    options = parser.parse_args(arguments)
    access = _find_access(parser, options)
    if options.detach and os.fork():
        os._exit(0)
    return _serve.serve(
        options.address,
        options.store,
        options.types,
        options.interval,
        options.duration,
        until=options.until,
        timeout_s=options.timeout,
        limits=_retention.Limits(options.keep, options.keep_bytes, options.keep_age),
        end_with_stdin=options.end_with_stdin or options.detach,
        quiet=options.quiet,
        progress=options.progress,
        access=access,
        web=_places_of_page(options.web),
    )


def _run_parser():
    parser = _Parser(
        prog=PROGRAM + " run",
        usage="%(prog)s [options] SCRIPT [ARGS...]\n"
        "       %(prog)s [options] -m MODULE [ARGS...]",
        description="Run a Python program as python itself would, profile it against"
        " a local service of its own, and print the last CPU and WALL profile to"
        " standard error when it ends.",
        epilog="A program that is killed (also by SIGTERM, unless it catches it)"
        " prints no tables; 'show' has them.",
    )
    parser.add_argument(
        "--service",
        metavar="NAME",
        help="the name profiles are stored under (the program's)",
    )
    _add_store(parser)
    # Short enough that a program of some ten seconds gets both types.
    _add_rhythm(parser, 1.0, 5.0)
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_count,
        default=20,
        help="functions in a table (%(default)d)",
    )
    parser.add_argument(
        "--rate",
        metavar="HZ",
        type=_rate(),
        default=100.0,
        help="samples a second, 1 to 1000 (%(default)g)",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="at the end show all profiles of the run in a browser",
    )
    return parser


def _split_program(arguments):
    """Our own arguments, the program, whether it is a module, and its arguments.

    By hand, because argparse would look for our options among the program's.
    """
    i = 0
    while i < len(arguments):
        word = arguments[i]
        if word in ("-h", "--help"):
            return arguments[: i + 1], None, False, []
        if word.startswith("-m"):
            rest = ([word[2:]] if word[2:] else []) + arguments[i + 1 :]
            if not rest:
                break
            return arguments[:i], rest[0], True, rest[1:]
        if word == "--":
            rest = arguments[i + 1 :]
            return arguments[:i], rest[0] if rest else None, False, rest[1:]
        if not word.startswith("-"):
            return arguments[:i], word, False, arguments[i + 1 :]
        i += 1 if "=" in word or word == "--open" else 2
    return arguments[:i], None, False, []


def _run_command(arguments):
    ours, program, is_module, theirs = _split_program(arguments)
    parser = _run_parser()
    options = parser.parse_args(ours)
    if program is None:
        parser.error("a SCRIPT or -m MODULE is needed")
    if not is_module and not os.path.exists(program):
        parser.error("there is no file '%s'" % program)

    session = _run.Session(
        options.service or _run.service_name(program),
        options.store,
        [
            *("--interval", repr(options.interval)),
            *("--duration", repr(options.duration)),
            *("--types", ",".join(options.types)),
        ],
        options.rate,
        options.limit,
        options.open,
    )
    session.start()
    _run.run_program(program, is_module, theirs)
    return 0


def _import_parser():
    parser = _Parser(
        prog=PROGRAM + " import",
        description="Store pprof files of whatever tool, gzipped or not. The same"
        " bytes are stored once.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a file, or - for standard input"
    )
    _add_store(parser)
    parser.add_argument(
        "--service",
        metavar="NAME",
        type=_parsed(_config.find_service),
        help="the name they are stored under (each file's)",
    )
    parser.add_argument(
        "--service-version", metavar="V", help="the label 'version' of all"
    )
    parser.add_argument("--zone", metavar="Z", help="the label 'zone' of all")
    parser.add_argument(
        "--type",
        type=_one_type,
        help="the type of all (told by what they count)",
    )
    return parser


def _import_command(arguments):
    options = _import_parser().parse_args(arguments)
    labels = {"version": options.service_version, "zone": options.zone}
    given = _import.Given(
        options.service,
        {name: _config.fit_label(name, v) for name, v in labels.items() if v},
        options.type,
    )
    return _import.import_files(
        options.store,
        options.files,
        given,
        lambda line: _top.write(sys.stdout, [_top.printable(line)]),
    )


def _show_parser():
    parser = _Parser(
        prog=PROGRAM + " show",
        description="Print which functions a profile's time went to: a stored one by"
        " its id, any pprof file by its path, or the newest that is stored.",
    )
    parser.add_argument(
        "profiles",
        nargs="*",
        metavar="FILE_OR_ID",
        help="a file, or an id or its first digits",
    )
    _add_store(parser)
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_count,
        default=20,
        help="functions in a table, or profiles in a list (%(default)d)",
    )
    parser.add_argument(
        "--type",
        type=_one_type,
        help="the newest of this type, or only this type in a list",
    )
    parser.add_argument(
        "--sort",
        choices=("self", "total"),
        default="self",
        help="the column to order by (%(default)s)",
    )
    parser.add_argument(
        "--list", action="store_true", help="list what is stored, newest first"
    )
    parser.add_argument(
        "--html",
        metavar="OUT",
        help="write a page with flame graph and table instead: profiles of one type are"
        " merged; with none given, the newest of each type is in it",
    )
    parser.add_argument(
        "--diff",
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help="with --html: what has changed from one profile to another",
    )
    return parser


def _show_command(arguments):
    try:
        return _show(arguments)
    except BrokenPipeError:  # as by `show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _show(arguments):
    parser = _show_parser()
    options = parser.parse_args(arguments)
    width = _top.width_of(sys.stdout)
    if options.list:
        if options.profiles:
            parser.error("--list goes without profiles")
        if options.html is not None:
            parser.error("--list goes without --html")
        with _store.Store.open_existing(options.store) as store:
            rows = store.find(type=options.type, limit=options.limit)
        _top.write(sys.stdout, _top.listing(rows, width))
        return 0

    if options.diff and (options.html is None or options.profiles):
        parser.error("--diff goes with --html, and without other profiles")
    if options.html is not None:
        return _show_page(options)

    for i, wanted in enumerate(options.profiles or [None]):
        title, data = _find_profile(wanted, options)
        profile = _decoded(title, data)
        lines = _top.table(profile, title, options.sort, options.limit, width)
        _top.write(sys.stdout, ([""] if i else []) + lines)
    return 0


def _decoded(title, data):
    try:
        return _serve.native().decode_profile(data)
    except (ValueError, RuntimeError) as e:
        raise _store.StoreError("cannot read %s: %s" % (title, e)) from e


def _show_page(options):
    wanted = options.diff or options.profiles or _newest_of_each_type(options)
    sources = []
    for one in wanted:
        title, data = _find_profile(one, options)
        sources.append(_html.source(title, data, _decoded(title, data)))
    if options.diff and sources[0].kind != sources[1].kind:
        raise _store.StoreError(
            "cannot compare '%s' with '%s'" % (sources[0].kind, sources[1].kind)
        )
    _html.write(options.html, sources, [[0], [1]] if options.diff else None)
    return 0


def _newest_of_each_type(options):
    with _store.Store.open_existing(options.store) as store:
        newest = {}
        for row in store.find(type=options.type):
            newest.setdefault(row.type, row.id)
    if not newest:
        raise _store.StoreError(_nothing_found(None, options))
    return [newest[type] for type in sorted(newest)]


def _find_profile(wanted, options):
    """A title and the bytes of one profile: a file's, or a stored one's."""
    if wanted is not None and os.path.exists(wanted):
        try:
            with open(wanted, "rb") as file:
                return wanted, file.read()
        except OSError as e:
            raise _store.StoreError(
                "cannot read '%s': %s" % (wanted, e.strerror)
            ) from e
    with _store.Store.open_existing(options.store) as store:
        if wanted is None:
            rows = store.find(type=options.type, limit=1)
        else:
            rows = store.find(prefix=wanted, limit=2)
        if not rows:
            raise _store.StoreError(_nothing_found(wanted, options))
        if len(rows) > 1:
            raise _store.StoreError("'%s' begins more than one id" % wanted)
        return store.title(rows[0]), store.read(rows[0])


def _nothing_found(wanted, options):
    if wanted is None:
        kind = options.type + " " if options.type else ""
        return "no %sprofiles are stored in '%s'" % (kind, options.store)
    return "'%s' is neither a file nor the id of a profile in '%s'" % (
        wanted,
        options.store,
    )


def _doctor_parser():
    parser = _Parser(
        prog=PROGRAM + " doctor",
        description="Say what googlecloudprofiler.start() would find here: one line"
        " each with ok, warning or error, and what to do. Nothing secret is shown.",
        epilog="Exit status 1 if there is an error.",
    )
    parser.add_argument("--service", help="start()'s service")
    parser.add_argument("--service-version", help="its service_version")
    parser.add_argument("--project", help="its project_id")
    parser.add_argument("--zone", help="its zone")
    parser.add_argument(
        "--key-file", metavar="FILE", help="its service_account_json_file"
    )
    parser.add_argument("--endpoint", help="its api_endpoint")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def _doctor_command(arguments):
    options = _doctor_parser().parse_args(arguments)
    return _doctor.run(options, options.json)


_COMMANDS = {
    "serve": (_serve_command, "receive, schedule and store profiles"),
    "import": (_import_command, "store pprof files of whatever tool"),
    "run": (_run_command, "run a program and print where its time went"),
    "show": (_show_command, "print or list what is stored"),
    "doctor": (_doctor_command, "say what start() would find here, and what to do"),
}


def _help():
    lines = ["usage: %s COMMAND [OPTIONS...]" % PROGRAM, ""]
    lines += ["  %-6s %s" % (name, text) for name, (_, text) in _COMMANDS.items()]
    return [*lines, "", "%s COMMAND --help says more." % PROGRAM]


def main(arguments):
    """Run a command; returns the exit status. An exception of the program that
    `run` runs goes through, as everything of that program does."""
    if arguments[:1] in (["-h"], ["--help"]):
        _top.write(sys.stdout, _help())
        return 0
    if not arguments or arguments[0] not in _COMMANDS:
        _serve.complain("a command is needed: %s" % ", ".join(_COMMANDS))
        return 2
    try:
        return _COMMANDS[arguments[0]][0](arguments[1:])
    except UsageError as e:
        sys.stderr.write("%s\n" % e)
        return 2
    except (_html.HtmlError, _store.StoreError, _serve.ServeError) as e:
        _serve.complain(str(e))
        return 1
