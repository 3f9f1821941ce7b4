"""The story of a server of two workers, told twice: without the agent, and with it."""

import os
import signal

from fake_service import eventually
from load import Load

# What the end of a server may take longer with the agent: two tenths of a second for
# its own, the rest for a busy machine.
END_S = 1.0


def live(server, rounds=None, master=False):
    """Requests; a worker is killed, another one comes; SIGTERM, while requests come.
    With `rounds` each of them is profiled, and with `master` the master is, too.
    Returns the exit status, and how many seconds the end took."""
    masters = {server.pid} if master else set()
    with Load(server) as load:
        first = load.wait_served(2)
        if rounds:
            rounds.wait_profiled(first | masters)
            rounds.wait_shown(first, "price_basket")
        assert load.failures == []
        os.kill(min(first), signal.SIGKILL)
        (second,) = load.wait_served(1, before=first)
        if rounds:
            rounds.wait_profiled({second})
            rounds.wait_shown({second}, "price_basket")
            rounds.wait_more({second, max(first)} | masters)
            assert set(rounds.profiles()) == first | {second} | masters
        return server.end()


def recycle(server, rounds):
    """Workers end after some requests; those that came later are profiled as well."""
    with Load(server) as load:
        load.wait_served(4)
        load.rest()
        # Some of those that are there may be about to end.
        eventually(
            lambda: len(server.children() & set(rounds.profiles())) == 2,
            "profiles of those that came last",
        )
        rounds.wait_profiled(server.children())
        return server.end()


def check(serve, rounds, *argv, master, **environ):
    """The agent changes nothing but that there are profiles."""
    without = serve(*argv, **environ)
    status, seconds = live(without)
    server = serve(*argv, rounds=rounds, **environ)
    ours, ours_s = live(server, rounds, master)
    assert ours == status, server.log()
    assert ours_s <= seconds + END_S, server.log()
    assert server.words() - without.words() == set()
