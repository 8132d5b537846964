"""Which files use processes: a wrong no loses findings, a wrong yes costs time."""

from __future__ import annotations

import ast
import textwrap

import pytest

from flake8_mppitfalls.prefilter import uses_processes


def uses(source: str) -> bool:
    source = textwrap.dedent(source)
    return uses_processes(source, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "import multiprocessing\nmultiprocessing.Pool(2)",
        "import multiprocessing as mp\nmp.Process(target=print)",
        "import multiprocessing.pool\nmultiprocessing.pool.Pool(2)",
        "import multiprocessing.pool as pools\npools.Pool(2)",
        "import multiprocessing.pool as pools\npools.ThreadPool(2)",
        "from multiprocessing import Pool",
        "from multiprocessing import cpu_count, Pool",
        "from multiprocessing import *",
        "from multiprocessing.pool import ThreadPool",
        "from multiprocessing import pool as pools",
        # Pools of threads have some of the traps.
        "from multiprocessing.dummy import Pool",
        "from multiprocessing.dummy import *",
        "import multiprocessing.dummy as mp\nmp.Pool()",
        "import multiprocessing.dummy as mp\nf(mp)",
        "import multiprocessing.dummy\nmultiprocessing.dummy.Pool()",
        "from multiprocessing import dummy\ndummy.Pool()",
        "from multiprocessing import shared_memory",
        "from multiprocessing import set_start_method, freeze_support",
        "from multiprocessing.context import ForkProcess",
        "from multiprocessing.shared_memory import SharedMemory",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "import concurrent.futures as cf\nexecutor = cf.ProcessPoolExecutor",
        "import concurrent.futures.process\nconcurrent.futures.process.ProcessPoolExecutor()",
        "from concurrent import futures\nfutures.ProcessPoolExecutor()",
        "from concurrent import futures as threads\nthreads.ProcessPoolExecutor()",
        "from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor",
        "from concurrent.futures import ProcessPoolExecutor as Executor",
        "from concurrent.futures.process import BrokenProcessPool",
        "from concurrent.futures import *",
        "import torch.multiprocessing as mp\nmp.spawn(print)",
        "from torch import multiprocessing\nmultiprocessing.spawn(print)",
        "from torch.multiprocessing import Process",
        "import torch\ntorch.multiprocessing.spawn(print)",
        "import torch.nn\ntorch.multiprocessing.spawn(print)",
        "import billiard\nbilliard.Pool()",
        "from billiard.pool import Pool",
        "import multiprocess as mp\nmp.Pool()",
        "from multiprocess import Pool",
    ],
)
def test_files_that_use_processes(source: str) -> None:
    assert uses(source)


@pytest.mark.parametrize(
    "source",
    [
        # Imported elsewhere than at the top.
        "def f():\n    from multiprocessing import Pool",
        "class A:\n    import multiprocessing as mp\n    pool = mp.Pool()",
        "try:\n    import multiprocess as mp\nexcept ImportError:\n    pass\nelse:\n    mp.Pool()",
        "try:\n    pass\nexcept OSError:\n    from multiprocessing import Pool",
        "try:\n    pass\nfinally:\n    from multiprocessing import Pool",
        "if a:\n    pass\nelif b:\n    pass\nelse:\n    from multiprocessing import Pool",
        "with a:\n    from multiprocessing import Pool",
        "for a in b:\n    while c:\n        from multiprocessing import Pool",
        "match a:\n    case 1:\n        from multiprocessing import Pool",
        "async def f():\n    async with a:\n        from multiprocessing import Pool",
        # Only for annotations.
        "from multiprocessing.pool import Pool\ndef f(pool: Pool): pool.close()",
        "import multiprocessing.pool\ndef f(pool: multiprocessing.pool.Pool): pool.close()",
        "import multiprocessing\ndef f(pool: 'multiprocessing.pool.Pool'): pool.close()",
        "import multiprocessing as mp\ndef f(pool: 'list[mp.pool.Pool]'): pool.close()",
        # The module itself is handed about.
        "import multiprocessing\nf(multiprocessing)",
        "import multiprocessing\nmp = multiprocessing",
        "import multiprocessing\ngetattr(multiprocessing, name)(target=f)",
        "import concurrent.futures\nfutures = concurrent.futures",
        # A harmless use beside one that is not.
        "import multiprocessing\nn = multiprocessing.cpu_count()\nmultiprocessing.Pool(n)",
        "import multiprocessing as a, multiprocessing as b\na.cpu_count()\nb.Pool()",
    ],
)
def test_processes_in_odd_places(source: str) -> None:
    assert uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        "# multiprocessing",
        '"""How this differs from multiprocessing and concurrent.futures."""',
        "name = 'multiprocessing.Pool'",
        "import multiprocessing",
        "import multiprocessing as mp",
        "import concurrent.futures",
        "from .multiprocessing import Pool",
        "from . import multiprocessing\nmultiprocessing.Pool()",
        "import mymultiprocessing\nmymultiprocessing.Pool()",
        "import multiprocessing_logging\nmultiprocessing_logging.Pool()",
        "from concurrently import Pool",
        "from joblib import Parallel  # not concurrent.futures",
        # Facts about the machine and the process.
        "import multiprocessing\nn = multiprocessing.cpu_count()",
        "import multiprocessing as mp\nn = max(1, mp.cpu_count() // 2)",
        "from multiprocessing import cpu_count\nn = cpu_count()",
        "from multiprocessing import current_process, get_logger",
        "from multiprocessing.process import current_process",
        "from multiprocessing.util import log_to_stderr",
        "import multiprocessing\nname = multiprocessing.current_process().name",
        # Threads.
        "from multiprocessing.dummy import Process, Queue",
        "import multiprocessing.dummy as mp\nmp.Process(target=f).start()",
        "import multiprocessing.dummy\nmultiprocessing.dummy.Lock()",
        "from multiprocessing import dummy\ndummy.Manager()",
        "from concurrent.futures import ThreadPoolExecutor",
        "from concurrent.futures import ThreadPoolExecutor, as_completed, wait, Future",
        "from concurrent.futures.thread import ThreadPoolExecutor",
        "from concurrent.futures import thread",
        "import concurrent.futures\nwith concurrent.futures.ThreadPoolExecutor() as e: pass",
        "import concurrent.futures as cf\nf: cf.Future\ncf.wait([f])",
        "from concurrent import futures\nfutures.ThreadPoolExecutor().submit(f)",
        "import concurrent.futures\nconcurrent.futures.thread.ThreadPoolExecutor()",
        '"""Of the concurrent.futures package."""\nimport concurrent.futures\n'
        "concurrent.futures.Future()",
        # torch without its processes.
        "import torch\ntorch.zeros(1)  # no multiprocessing",
    ],
)
def test_files_that_use_none(source: str) -> None:
    assert not uses(source)


class Untouchable(ast.Module):
    """A tree that must not be looked at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"asked for {name}")


def test_without_the_words_the_tree_is_not_looked_at() -> None:
    assert not uses_processes("import asyncio\n" * 1000, Untouchable())


def test_deep_trees() -> None:
    links = " + ".join(["a"] * 900)
    assert uses(f"import multiprocessing\nx = {links}\nmultiprocessing.Pool()")
    branches = "".join(f"elif a == {n}:\n    pass\n" for n in range(300))
    assert uses(f"if a:\n    pass\n{branches}else:\n    from multiprocessing import Pool")
