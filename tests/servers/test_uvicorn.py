"""uvicorn by itself. Its workers are spawned: each calls start() as it imports the
program, which the master never does."""

from story import check


def test_each_worker_is_profiled_and_all_ends_well(serve, rounds):
    argv = ("uvicorn", "--uds", "{address}", "--workers", "2",
            "--no-access-log", "asgi_app:application")
    check(serve, rounds, *argv, master=False)
