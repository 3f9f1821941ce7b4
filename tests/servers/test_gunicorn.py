"""gunicorn with each kind of worker. Without --preload each worker calls start() as it
imports the program; with it the master did, once, before it forked."""

import pytest
from story import check, recycle

WSGI, ASGI = "wsgi_app:application", "asgi_app:application"
WORKERS = {
    "sync": ("sync", WSGI),
    "gthread": ("gthread", "--threads", "2", WSGI),
    "gevent": ("gevent", WSGI),
    "uvicorn": ("uvicorn_worker.UvicornWorker", ASGI),
}

# As it was recommended for the original agent.
CALLS_START = """
def post_fork(server, worker):
    import googlecloudprofiler
    googlecloudprofiler.start(service="shop")
"""


def gunicorn(kind, *options):
    return (
        *("gunicorn", "--bind", "unix:{address}", "--workers", "2"),
        *("--no-control-socket", *options, "--worker-class", *WORKERS[kind]),
    )


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize("kind", list(WORKERS))
def test_each_worker_is_profiled_and_all_ends_well(serve, rounds, kind, preload):
    argv = gunicorn(kind, *["--preload"] * preload)
    check(serve, rounds, *argv, master=preload)


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_hook_that_calls_start_in_workers_is_no_trouble(
    serve, rounds, tmp_path, kind
):
    config = tmp_path / "config.py"
    config.write_text(CALLS_START)
    argv = gunicorn(kind, "--preload", "--config", str(config))
    check(serve, rounds, *argv, master=True)


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_recycled_workers_are_profiled(serve, rounds, preload):
    argv = gunicorn("sync", "--max-requests", "40", *["--preload"] * preload)
    assert recycle(serve(*argv, rounds=rounds), rounds)[0] == 0
