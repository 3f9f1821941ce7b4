"""Processes of multiprocessing and concurrent.futures. Forked ones need no call; those
that are spawned, or forked by a fork server, call start() by themselves."""

import os

import pytest
from server import EXAMPLES

# Each process says its number, and works until a line comes. `{make}` makes two.
PROGRAM = """
import concurrent.futures
import multiprocessing
import os
import sys
import threading
import googlecloudprofiler

def profile():
    googlecloudprofiler.start(service="shop", verbose=1)

def work(end):
    os.write(1, b"%d\\n" % os.getpid())
    while not end.is_set():
        sum(i * i % 7 for i in range(20000))
    return 1

def work_by_itself(end):
    profile()
    work(end)

def processes(context, initializer):
    end = context.Event()
    target = work_by_itself if initializer else work
    made = [context.Process(target=target, args=(end,)) for _ in range(2)]
    for process in made:
        process.start()
    sys.stdin.readline()
    end.set()
    for process in made:
        process.join()
    return [process.exitcode for process in made]

def executor(context, initializer):
    with context.Manager() as manager:
        end = manager.Event()
        pool = concurrent.futures.ProcessPoolExecutor(2, context, initializer)
        with pool:
            made = [pool.submit(work, end) for _ in range(2)]
            sys.stdin.readline()
            end.set()
        return [future.result() - 1 for future in made]

def pool(context, initializer):
    with context.Manager() as manager:
        end = manager.Event()
        with context.Pool(2, initializer) as pool:
            made = [pool.apply_async(work, (end,)) for _ in range(2)]
            sys.stdin.readline()
            end.set()
            pool.close()
            pool.join()
        return [result.get() - 1 for result in made]

def main():
    how, method, where = sys.argv[1:]
    profile()
    context = multiprocessing.get_context(method)
    initializer = None if method == "fork" else profile

    def run():
        print(globals()[how](context, initializer), flush=True)

    if where == "main":
        run()
    else:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

if __name__ == "__main__":
    main()
"""

HOW = ("processes", "pool", "executor")
METHODS = ("fork", "spawn", "forkserver")
EXAMPLE = os.path.join(EXAMPLES, "worker_pool.py")


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", HOW)
def test_each_process_is_profiled_and_all_ends_well(rounds, launch, how, method, where):
    program = launch(PROGRAM, how, method, where, service=rounds)
    pids = {int(program.line()) for _ in range(2)}
    rounds.wait_profiled(pids | {program.pid})
    rounds.wait_shown(pids, "work")
    program.say()
    assert program.line() == "[0, 0]"
    assert program.end() == 0
    assert program.stderr() == ""


@pytest.mark.parametrize("method", METHODS)
def test_the_example_runs_to_its_end(rounds, serve, method):
    server = serve("python", EXAMPLE, method, "5", rounds=rounds)
    assert server.wait() == 0
    assert server.log() == ""
    assert len(rounds.profiles()) == 3
