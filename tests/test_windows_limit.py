"""MPP501: what a worker count over 61 meets on Windows, shown by CPython's own code.

The code is run in a subprocess where `sys.platform` says "win32".
"""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> str:
    """Run a program in a new interpreter; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


EXECUTOR = """
import concurrent.futures
import multiprocessing.connection  # as the platform has it: its Windows part needs Windows
import multiprocessing.queues
import multiprocessing.synchronize
import sys

sys.platform = "win32"
from concurrent.futures import ProcessPoolExecutor

for count in (60, 61, 62, 64):
    try:
        ProcessPoolExecutor(max_workers=count)
    except ValueError as error:
        print(count, "ValueError:", error)
    else:
        print(count, "taken")
print(ProcessPoolExecutor()._max_workers <= 61)
"""


def test_executor_refuses_more_than_61_workers() -> None:
    assert run(EXECUTOR).splitlines() == [
        "60 taken",
        "61 taken",
        "62 ValueError: max_workers must be <= 61",
        "64 ValueError: max_workers must be <= 61",
        "True",
    ]


def test_executor_takes_62_workers_here() -> None:
    """The check is about Windows alone: without the platform's name nothing is refused."""
    if sys.platform == "win32":
        pytest.skip("this is Windows")
    program = EXECUTOR.replace('sys.platform = "win32"', "")
    assert "62 taken" in run(program).splitlines()


# A pool has no check. Its thread waits for all its workers and for two pipes of its own at once,
# with multiprocessing.connection.wait(). On Windows that ends in _exhaustive_wait(), which is taken
# out of CPython's source and run with stand-ins for what only Windows has; the one for
# WaitForMultipleObjects refuses as the real one does (MAXIMUM_WAIT_OBJECTS is 64, and one place is
# kept for Ctrl-C).
POOL = """
import ast
import multiprocessing.connection
import multiprocessing.pool
import types

def own_handles():
    handles = []
    wait = multiprocessing.pool.Pool._wait_for_updates

    def count_and_wait(sentinels, *args, **kwargs):
        handles.append(len(sentinels))
        return wait(sentinels, *args, **kwargs)

    multiprocessing.pool.Pool._wait_for_updates = staticmethod(count_and_wait)
    with multiprocessing.pool.Pool(2) as pool:
        pool.map(abs, range(4))
        pool.close()
        pool.join()
    return max(handles) - 2

def wait_on_windows(count):
    def refuse_many(handles, wait_all, timeout):
        if len(handles) >= 63:
            raise ValueError(
                f"need at most 63 handles, got a sequence of length {len(handles)}"
            )
        return 258  # WAIT_TIMEOUT

    def batched(handles, wait_all, timeout):
        raise TimeoutError

    with open(multiprocessing.connection.__file__, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    (found,) = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_exhaustive_wait"
    ]
    names = {
        "_winapi": types.SimpleNamespace(
            WaitForMultipleObjects=refuse_many, BatchedWaitForMultipleObjects=batched
        ),
        "WAIT_OBJECT_0": 0,
        "WAIT_ABANDONED_0": 128,
        "WAIT_TIMEOUT": 258,
    }
    exec(compile(ast.Module([found], []), "connection.py", "exec"), names)
    return names["_exhaustive_wait"](range(count), 0)

if __name__ == "__main__":
    own = own_handles()
    print("own", own)
    for workers in (32, 60, 61, 62, 64):
        try:
            wait_on_windows(workers + own)
        except ValueError as error:
            print(workers, "ValueError:", error)
        else:
            print(workers, "waits")
"""


def test_pool_waits_for_too_many_handles() -> None:
    """Until Python 3.12 a pool of 61 already fails; 3.13 waits in batches and has no limit."""
    seen = run(POOL).splitlines()
    if sys.version_info >= (3, 13):
        assert seen == ["own 2", *(f"{n} waits" for n in (32, 60, 61, 62, 64))]
    else:
        refused = "ValueError: need at most 63 handles, got a sequence of length"
        assert seen == [
            "own 2",
            "32 waits",
            "60 waits",
            f"61 {refused} 63",
            f"62 {refused} 64",
            f"64 {refused} 66",
        ]
