"""The program that beside.py measures: nothing but an agent, a bare gRPC call, or
neither is in it. It says a line and then waits for the end of standard input.

Usage: subject.py nothing
       subject.py agent KEY=VALUE...    what start() gets; says "IMPORT BEGAN HELD":
                                        seconds, the monotonic clock, seconds
       subject.py call TARGET METHOD ROOTS
"""

import logging  # noqa: F401 (any program has it)
import sys
import time


def nothing():
    pass


def agent(*options):
    options = dict(option.split("=", 1) for option in options)
    metadata = options.pop("metadata", None)
    begin = time.perf_counter()
    import googlecloudprofiler

    imported = time.perf_counter() - begin
    if metadata:
        # The original asks a name that only Google's machines know.
        from googlecloudprofiler import client

        client._GCE_METADATA_URL = metadata
    began = time.monotonic()
    googlecloudprofiler.start(**options)
    print(imported, began, time.monotonic() - began)


def call(target, method, roots):
    import threading

    import grpc

    with open(roots, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(target, credentials)
    waiting = channel.unary_unary(method)
    threading.Thread(target=waiting, args=(b"",), daemon=True).start()


def main():
    {"nothing": nothing, "agent": agent, "call": call}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
