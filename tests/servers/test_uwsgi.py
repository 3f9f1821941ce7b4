"""uWSGI with none of the options that it has for programs with threads of their own:
neither py-call-osafterfork nor py-call-uwsgi-fork-hooks. Without lazy-apps its master
imports the program, and forks."""

import pytest
from story import check, recycle


def uwsgi(*options):
    return (
        *("uwsgi", "--http-socket", "{address}", "--module", "wsgi_app", "--need-app"),
        *("--master", "--processes", "2", "--die-on-term", "--disable-logging"),
        *options,
    )


@pytest.mark.parametrize("threads", [False, True], ids=["no threads", "threads"])
@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy apps"])
def test_each_worker_is_profiled_and_all_ends_well(serve, rounds, lazy, threads):
    argv = uwsgi(*["--lazy-apps"] * lazy, *["--enable-threads"] * threads)
    check(serve, rounds, *argv, master=not lazy)


@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy apps"])
def test_recycled_workers_are_profiled(serve, rounds, lazy):
    argv = uwsgi("--max-requests", "40", *["--lazy-apps"] * lazy)
    assert recycle(serve(*argv, rounds=rounds), rounds)[0] == 0
