"""The local service: listens, schedules, stores, until it is told to end."""

import os
import select
import signal
import sys
import time

from googlecloudprofiler import (
    _access,
    _agent,
    _options,
    _progress,
    _retention,
    _schedule,
    _store,
    _types,
)

NEXT_S = 0.2  # signals, and the end of standard input, are noticed this fast
DRAIN_S = 1.0  # for answers to leave before the server closes


class ServeError(Exception):
    """The service cannot start or go on; one line for a person."""


def native():
    """The native module, or ServeError where it cannot be loaded."""
    try:
        return _agent._load_native()
    except NotImplementedError as e:
        raise ServeError(str(e)) from e


def open_server(address, access=_access.ANYBODY):
    """Listen on `address`: unix:path or host:port; what is not on loopback needs all of
    `access`."""
    module = native()
    try:
        return module.Server(
            address,
            _options.transport_path(),
            access.certificate,
            access.key,
            access.token,
        )
    except (ValueError, OSError, RuntimeError, NotImplementedError) as e:
        raise ServeError(str(e)) from e


def open_page(addresses, directory, decode, listening, access):
    """Serve the page of the store in `directory`, in threads of its own, on the first
    HOST:PORT that can be had.

    listening: where the service itself is. access: who may call both.
    """
    # Here, because `run` brings this module into programs.
    from googlecloudprofiler import _web

    endpoint = listening
    if not listening.startswith("unix:"):
        endpoint = ("https://" if access.context else "http://") + listening
    for address in addresses:
        try:
            page = _web.Server(
                address,
                directory,
                decode,
                endpoint,
                tls=access.context,
                token=access.token,
                warn=complain,
            )
        except _web.WebError as e:
            failure = e
        else:
            page.start()
            return page
    raise ServeError(str(failure)) from failure


class Ending:
    """Whether it is time to end, and with which exit status.

    SIGTERM and SIGINT end the service well, as everywhere a service is stopped,
    unless it was to wait for profiles that have not come.
    """

    def __init__(self, until, timeout_s, end_with_stdin, started):
        self._until = until
        self._timeout_s = timeout_s
        self._stdin = end_with_stdin
        self._started = started
        self._signal = None

    def catch_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take_signal)

    def _take_signal(self, number, frame):
        self._signal = number

    def reason(self, stored, now):
        """None, or (exit status, a line for standard error or None)."""
        if self._until is not None and stored >= self._until:
            return 0, None
        if self._timeout_s is not None and now - self._started >= self._timeout_s:
            return self._short_of(stored, "within %g s" % self._timeout_s)
        if self._signal is not None:
            return self._short_of(stored, "before the service was stopped")
        if self._stdin and _stdin_closed():
            return self._short_of(stored, "before standard input was closed")
        return None

    def _short_of(self, stored, when):
        if self._until is None:
            return 0, None
        return 1, "only %d of %d profiles came %s" % (stored, self._until, when)


def _stdin_closed():
    try:
        readable = select.select([0], [], [], 0)[0]
        return bool(readable) and not os.read(0, 4096)
    except OSError:
        return True


class Speaker:
    """Lines on standard output, each at once. Whoever reads them may go away:
    the service goes on."""

    def __init__(self, stream, quiet):
        self._stream = stream
        self._quiet = quiet

    def announce(self, words):
        """Say it even when told to be quiet."""
        if self._stream is None:
            return
        try:
            self._stream.write(words + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def tell(self, words):
        if not self._quiet:
            self.announce(words)


def complain(words):
    """One line on standard error, if there is one."""
    try:
        sys.stderr.write("googlecloudprofiler: %s\n" % words)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass


def loop(server, scheduler, ending, clock, meanwhile=()):
    """Serve until `ending` has a reason; returns its exit status.

    meanwhile: what is called after each event, or else every NEXT_S seconds.
    """
    while True:
        scheduler.take(server.next(NEXT_S), clock())
        for act in meanwhile:
            act()
        reason = ending.reason(scheduler.stored, clock())
        if reason:
            break
    status, words = reason
    if words:
        complain(words)
    _drain(server, scheduler, clock)
    return status


def _drain(server, scheduler, clock):
    """The last answers are on their way to the clients: closing at once would cut
    them off."""
    end = clock() + DRAIN_S
    scheduler.end("the local service has ended")
    while True:
        event = server.next(NEXT_S)
        if event is None or clock() >= end:
            return
        scheduler.take(event, clock())


def listening_address(address, port):
    """What was asked for, with the port that was found."""
    if address.startswith("unix:"):
        return address
    return "%s:%d" % (address.rpartition(":")[0], port)


def serve(
    address,
    directory,
    types,
    interval_s,
    duration_s,
    until=None,
    timeout_s=None,
    limits=_retention.DEFAULT,
    end_with_stdin=False,
    quiet=False,
    progress=False,
    access=_access.ANYBODY,
    web=(),
):
    """Run the service in the main thread; returns its exit status.

    web: HOST:PORTs for the page, of which the first that can be had is taken; none is
        no page.

    The first line on standard output is "listening on ADDRESS", written once
    clients can connect. Raises ServeError and StoreError when it cannot start.
    """
    decode = native().decode_profile
    ending = Ending(until, timeout_s, end_with_stdin, time.monotonic())
    ending.catch_signals()
    speaker = Speaker(sys.stdout, quiet)
    with _store.Store(directory, decode, limits, warn=complain) as store:
        server = open_server(address, access)
        line = _progress.Line(sys.stderr if progress else None)
        page = None
        try:
            listening = listening_address(address, server.port)
            if web:
                page = open_page(web, store.directory, decode, listening, access)
            scheduler = _schedule.Scheduler(
                server,
                store,
                decode,
                [_types.NUMBERS[name] for name in types],
                interval_s,
                duration_s,
                tell=speaker.tell,
                warn=complain,
            )
            speaker.announce("listening on %s" % listening)
            if page is not None:
                speaker.announce("page at %s" % page.url)
            speaker.announce("storing profiles in %s" % store.directory)
            meanwhile = (
                store.tidy,
                lambda: line.show(scheduler.stored, scheduler.samples),
            )
            return loop(server, scheduler, ending, time.monotonic, meanwhile)
        finally:
            line.clear()
            if page is not None:
                page.close()
            server.close()
