"""celery's worker with its pool of forked processes, and a redis as its broker."""

import functools
import os
import shutil
import signal

import pytest
from fake_service import eventually
from story import END_S

WORKER = (
    *("celery", "--app", "celery_app", "worker", "--concurrency", "2"),
    *("--pool", "prefork", "--without-gossip", "--without-mingle"),
)

# There are always some tasks in the queue; a line for each that came.
CLIENT = """
import time
from celery_app import app, price_basket

with app.connection() as connection:
    while True:
        if connection.default_channel.client.llen("celery") < 30:
            price_basket.delay()
            print("one more", flush=True)
        time.sleep(0.005)
"""


@pytest.fixture
def serve(serve):
    """As that of others, with a broker."""
    redis = serve(
        shutil.which("redis-server"), *("--port", "0", "--unixsocket", "{address}"),
        *("--save", ""),
    )
    eventually(lambda: os.path.exists(redis.address), "a broker")
    url = "redis+socket://" + redis.address
    return functools.partial(serve, CELERY_BROKER_URL=url)


def begin(serve, *options, rounds=None):
    """A worker with a pool of two, which gets tasks: both, and the client."""
    server = serve(*WORKER, *options, rounds=rounds)
    eventually(lambda: len(server.children()) == 2, "a pool")
    client = serve("python", "-c", CLIENT)
    eventually(lambda: client.log().count("one more") > 100, "tasks done")
    return server, client


def test_each_process_is_profiled_and_all_ends_well(serve, rounds):
    without, client = begin(serve)
    status, seconds = without.end()
    client.kill()

    server, _ = begin(serve, rounds=rounds)
    pool = server.children()
    rounds.wait_profiled(pool | {server.pid})
    rounds.wait_shown(pool, "price_basket")
    assert set(rounds.profiles()) == pool | {server.pid}
    ours, ours_s = server.end()
    assert ours == status, server.log()
    assert ours_s <= seconds + END_S, server.log()
    assert server.words() - without.words() == set()


def test_one_that_comes_for_a_killed_one_is_profiled(serve, rounds):
    """celery waits for the lost task by itself when it is told to end: it is not."""
    server, _ = begin(serve, rounds=rounds)
    first = server.children()
    os.kill(min(first), signal.SIGKILL)
    eventually(lambda: len(server.children() - first) == 1, "another process")
    second = server.children()
    rounds.wait_profiled(second | {server.pid})
    rounds.wait_shown(second, "price_basket")
    rounds.wait_more(second | {server.pid})


def test_those_that_come_after_some_tasks_are_profiled(serve, rounds):
    server, client = begin(serve, "--max-tasks-per-child", "40", rounds=rounds)
    first = server.children()
    eventually(lambda: not server.children() & first, "others")
    client.kill()
    eventually(
        lambda: len(server.children() & set(rounds.profiles())) == 2, "their profiles"
    )
    rounds.wait_profiled(server.children())
    assert server.end()[0] == 0
