"""A program with mixed work, to look at its profile: two threads that compute (one
hashes, one handles json), one that sleeps, and a lock that two of them want.

usage: mixed_work.py [SECONDS]; it runs for 60 seconds by default.
"""

import hashlib
import json
import sys
import threading
import time

import googlecloudprofiler

lock = threading.Lock()
counts = {"hashes": 0, "documents": 0, "primes": 0}


def count(name):
    with lock:
        counts[name] += 1


def hash_blocks(end):
    block = b"profile me " * 4096
    while time.monotonic() < end:
        hashlib.sha256(block).hexdigest()
        count("hashes")


def make_document():
    return {"items": [{"id": i, "name": "item %d" % i} for i in range(200)]}


def handle_json(end):
    while time.monotonic() < end:
        json.loads(json.dumps(make_document(), indent=1))
        count("documents")


def hold_lock(end):
    while time.monotonic() < end:
        with lock:
            time.sleep(0.02)
        time.sleep(0.2)


def is_prime(n):
    return all(n % i for i in range(2, int(n**0.5) + 1))


def find_primes(end):
    n = 10**6
    while time.monotonic() < end:
        n += 1
        if is_prime(n):
            count("primes")


def main():
    googlecloudprofiler.start(service="mixed-work", service_version="1.0")

    end = time.monotonic() + (float(sys.argv[1]) if len(sys.argv) > 1 else 60)
    work = (hash_blocks, handle_json, hold_lock)
    threads = [threading.Thread(target=f, args=(end,), name=f.__name__) for f in work]
    for thread in threads:
        thread.start()
    find_primes(end)
    for thread in threads:
        thread.join()
    print(", ".join("%d %s" % (n, what) for what, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
