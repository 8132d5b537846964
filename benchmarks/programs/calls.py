"""Functions, and how they call each other."""

from __future__ import annotations

from programs import HEAD, WORK, many


def calls_that_call_twice(count: int) -> str:
    """Functions each of which calls the next one twice with a pool."""
    body = many(count, "def f@(pool):\n    f@@(pool)\n    return f@@(pool)\n\n\n")
    last = f"def f{count}(pool):\n    return pool.map(work, [1])\n\n\n"
    return HEAD + WORK + body + last + "def run():\n    f0(multiprocessing.Pool(2))\n"


def calls_of_one(count: int) -> str:
    """One function that is called from many with a pool of their own."""
    use = (
        "def use(pool):\n    found = pool.map(work, [1])\n    pool.close()\n    return found\n\n\n"
    )
    return HEAD + WORK + use + many(count, "def f@():\n    use(multiprocessing.Pool(2))\n\n\n")


def results_of_calls(count: int) -> str:
    """A value that goes through many functions."""
    body = many(count, "def f@(x):\n    y = f@@(x)\n    return y\n\n\n")
    last = f"def f{count}(x):\n    return work\n\n\n"
    return HEAD + WORK + body + last + "multiprocessing.Pool(2).map(f0(1), [1])\n"


def nested_functions(count: int) -> str:
    """One function with many in it."""
    block = "    def f@(x):\n        return pool.apply(work, (x,))\n\n"
    body = "def run():\n    pool = multiprocessing.Pool(2)\n\n" + many(count, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"


def dense_calls(count: int) -> str:
    """Functions that call each other in every way, and change globals."""
    return (
        HEAD
        + WORK
        + many(
            count,
            ("def f@(x):\n    global g@\n    g@ = x\n    f@@(x)\n    work(x)\n    h(x)\n\n\n"),
        )
        + f"def f{count}(x):\n    f0(x)\n\n\ndef h(x):\n    f0(x)\n\n\n"
        + many(count, "g@ = 0\n")
        + many(count, "multiprocessing.Process(target=f@, args=(1,)).start()\nprint(g@)\n")
    )


def recursion_all(count: int) -> str:
    """Functions that call the first one and the next one."""
    return (
        HEAD
        + WORK
        + many(count, ("def f@(pool):\n    f0(pool)\n    f@@(pool)\n    pool.map(work, [@])\n\n\n"))
        + f"def f{count}(pool):\n    f0(pool)\n\n\nf0(multiprocessing.Pool(2))\n"
    )


def generators(count: int) -> str:
    """Generators of generators."""
    return (
        HEAD
        + many(count, "def g@(x):\n    yield from g@@(x)\n\n\n")
        + f"def g{count}(x):\n    yield x\n\n\n"
        + ("def work(x):\n    return list(g0(x))\n\n\nwith multiprocessing.Pool(2) as p:\n")
        + many(count, "    p.map(work, g@(@))\n    list(p.imap(work, [y for y in g@(1)]))\n")
    )


def callbacks(count: int) -> str:
    """Tasks with callbacks that call each other."""
    body = (
        many(count, "def done@(x):\n    done@@(x)\n\n\n")
        + f"def done{count}(x):\n    raise x\n\n\n"
    )
    block = "    pool.apply_async(work, (@,), callback=done@, error_callback=done@@)\n"
    first = "def run():\n    pool = multiprocessing.Pool(2)\n"
    return HEAD + WORK + body + first + many(count, block) + "    pool.close()\n    pool.join()\n"


def asyncs(count: int) -> str:
    """Coroutines that use an executor and await each other."""
    return (
        HEAD
        + "import asyncio\n"
        + WORK
        + many(
            count,
            (
                "async def f@(loop, ex):\n    await loop.run_in_executor(ex, work, @)\n"
                "    with multiprocessing.Pool(2) as p:\n        p.map(work, [1])\n"
                "    await f@@(loop, ex)\n\n\n"
            ),
        )
        + (
            f"async def f{count}(loop, ex):\n    pass\n\n\nasync def main():\n"
            f"    with ProcessPoolExecutor() as ex:\n"
            f"        await f0(asyncio.get_running_loop(), ex)\n\n\nasyncio.run(main())\n"
        )
    )


def workers(count: int) -> str:
    """Many worker functions that change one global."""
    block = (
        "def f@(x):\n    global total\n    total += x\n    done.append(x)\n    return total\n\n\n"
        "def run@():\n    with multiprocessing.Pool(2) as pool:\n        pool.map(f@, [1])\n\n\n"
    )
    return HEAD + "total = 0\ndone = []\n\n\n" + many(count, block) + "print(total, done)\n"


def global_reads(count: int) -> str:
    """Globals that workers change and the parent reads."""
    return (
        HEAD
        + many(
            count, ("g@ = []\n\n\ndef w@(x):\n    g@.append(x)\n    return g@@ if x else g0\n\n\n")
        )
        + (
            f"g{count} = []\nif __name__ == '__main__':\n"
            f"    with multiprocessing.Pool(2) as pool:\n"
        )
        + many(count, "        pool.map(w@, [1])\n        print(g@)\n")
    )


def main_script(count: int) -> str:
    """A main function of many pools."""
    return (
        HEAD
        + WORK
        + many(count, "def f@(x):\n    return work(x)\n\n\n")
        + "def main():\n"
        + many(
            count,
            ("    with multiprocessing.Pool(2) as pool:\n        print(pool.map(f@, range(@)))\n"),
        )
        + "\n\nif __name__ == '__main__':\n    main()\n"
    )


def exceptions_raised(count: int) -> str:
    """A family of exceptions that workers raise."""
    return (
        HEAD
        + many(
            count,
            (
                "class E@(E@@):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
                "        self.b = b\n\n\n"
            ),
        )
        + f"class E{count}(Exception):\n    pass\n\n\n"
        + many(count, "def w@(x):\n    raise E@(1, 2)\n\n\n")
        + "with multiprocessing.Pool(2) as pool:\n"
        + many(count, "    pool.map(w@, [1])\n")
    )
