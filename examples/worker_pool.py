"""Pools whose processes are profiled, each by itself. Forked ones are without a call;
those that are spawned, or come from a fork server, call start() by themselves.

usage: worker_pool.py fork|forkserver|spawn [SECONDS]
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import googlecloudprofiler


def profile():
    googlecloudprofiler.start(service="shop")


def price_basket(end):
    while time.monotonic() < end:
        sum(i * i % 7 for i in range(20000))


def main():
    profile()
    context = multiprocessing.get_context(sys.argv[1])
    end = time.monotonic() + (float(sys.argv[2]) if len(sys.argv) > 2 else 60)
    with ProcessPoolExecutor(2, mp_context=context, initializer=profile) as pool:
        list(pool.map(price_basket, [end] * 2))


if __name__ == "__main__":
    main()
