"""Paths: branches, loops, ``try`` and ``with``."""

from __future__ import annotations

from programs import HEAD, WORK, many


def branches_with_events(count: int) -> str:
    """Branches in each of which the pool is ended, or not."""
    block = "    if flags[@]:\n        pool.close()\n    elif flag:\n        pool.terminate()\n"
    body = "def run(flags, flag):\n    pool = multiprocessing.Pool(2)\n" + many(count, block)
    return HEAD + WORK + body + "    pool.join()\n"


def branches_on_names(count: int) -> str:
    """Branches by tests that come again, with a start and a join in each."""
    block = "    if flag@:\n        p.start()\n    if flag@:\n        p.join()\n"
    body = f"def run({', '.join(f'flag{i}' for i in range(count))}):\n"
    return (
        HEAD + WORK + body + "    p = multiprocessing.Process(target=work)\n" + many(count, block)
    )


def elif_with_pools(count: int) -> str:
    """A long ``if`` and ``elif`` with a pool in each branch."""
    block = "    elif kind == @:\n        pool = multiprocessing.Pool(@@)\n"
    body = "def run(kind):\n    if kind == -1:\n        pool = None\n" + many(count, block)
    return HEAD + WORK + body + "    pool.map(work, [1])\n    pool.close()\n    pool.join()\n"


def flags_own(count: int) -> str:
    """Processes that each have a flag of their own."""
    return (
        HEAD
        + WORK
        + "def run(flags):\n"
        + many(
            count,
            (
                "    if flags.f@:\n        p@ = multiprocessing.Process(target=work)\n"
                "        p@.start()\n        p@.join()\n"
            ),
        )
    )


def match_cases(count: int) -> str:
    """A ``match`` in whose cases a pool is used or closed."""
    return (
        HEAD
        + WORK
        + "def run(x):\n    pool = multiprocessing.Pool(2)\n    match x:\n"
        + many(
            count,
            (
                "        case @:\n            pool.map(work, [@])\n        case 'k@':\n"
                "            pool.close()\n"
            ),
        )
        + "    pool.join()\n"
    )


def ways_out(count: int) -> str:
    """A function with many ways out."""
    return (
        HEAD
        + WORK
        + (
            "def run(x):\n    p = multiprocessing.Pool(2)\n"
            "    q = multiprocessing.Process(target=work)\n    q.start()\n"
        )
        + many(
            count,
            (
                "    if x == @:\n        return p\n    if x > @:\n        q.join()\n"
                "        return None\n"
            ),
        )
        + "    p.close()\n"
    )


def tries(count: int) -> str:
    """``try`` after ``try`` around the same pool."""
    block = (
        "    try:\n        pool.apply(work, (@,))\n    except ValueError:\n"
        "        pool.terminate()\n        raise\n    finally:\n        print(@)\n"
    )
    body = "def run():\n    pool = multiprocessing.Pool(2)\n" + many(count, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"


def except_ladder(count: int) -> str:
    """One ``try`` with many handlers that end the pool."""
    return (
        HEAD
        + WORK
        + (
            "def run():\n    pool = multiprocessing.Pool(2)\n    try:\n"
            "        pool.map(work, [1])\n"
        )
        + many(count, "    except Error@ as e:\n        pool.terminate()\n        raise\n")
        + "    finally:\n        pool.close()\n        pool.join()\n"
    )


def loops_in_a_row(count: int) -> str:
    """Loop after loop over the same processes."""
    block = "    for p in ps:\n        p.start()\n    for p in ps:\n        p.join()\n"
    first = "def run():\n    ps = [multiprocessing.Process(target=work) for _ in range(4)]\n"
    return HEAD + WORK + first + many(count, block)


def loops_over_pools(count: int) -> str:
    """Pools that are made in loops."""
    return (
        HEAD
        + WORK
        + "def run():\n"
        + many(
            count,
            (
                "    for i@ in range(10):\n        with multiprocessing.Pool(2) as p@:\n"
                "            p@.map(work, [i@])\n"
                "        r@ = multiprocessing.Pool(2).apply_async(work, (1,))\n"
                "        r@.get()\n"
            ),
        )
    )


def conditions(count: int) -> str:
    """Numbers of workers that hang on many conditions."""
    body = "n = 4\n" + many(count, "if n > @ and m != @:\n    n = min(n, @) or @\n")
    return HEAD + WORK + "m = work(1)\n" + body + "multiprocessing.Pool(n).map(work, [1])\n"


def withs(count: int) -> str:
    """Executors in ``with`` blocks, one after the other."""
    block = (
        "    with ProcessPoolExecutor() as e@:\n        f@ = e@.submit(work, @)\n"
        "        e@.map(work, [@])\n    print(f@.result())\n"
    )
    return HEAD + WORK + "def run():\n" + many(count, block)


def nested_withs(count: int) -> str:
    """A pool that is entered twice, with a lock between, again and again."""
    return (
        HEAD
        + WORK
        + "def run():\n"
        + many(
            count,
            (
                "    with multiprocessing.Pool(2) as p@:\n        with p@ as q@:\n"
                "            with multiprocessing.Lock():\n                q@.map(work, [1])\n"
            ),
        )
    )


def with_items(count: int) -> str:
    """One ``with`` of many pools."""
    return (
        HEAD
        + WORK
        + "def run():\n    with (\n"
        + many(count, "        multiprocessing.Pool(2) as p@,\n")
        + "    ):\n"
        + many(count, "        p@.map(work, [@])\n")
    )


def exit_stacks(count: int) -> str:
    """Pools on an exit stack."""
    return (
        HEAD
        + "from contextlib import ExitStack\n"
        + WORK
        + "def main():\n    with ExitStack() as stack:\n"
        + many(
            count,
            (
                "        p@ = stack.enter_context(multiprocessing.Pool(2))\n"
                "        stack.callback(p@.terminate)\n        p@.map(work, [@])\n"
            ),
        )
    )


def guards(count: int) -> str:
    """Many blocks of the main program."""
    block = (
        'if __name__ == "__main__":\n    p@ = multiprocessing.Process(target=work)\n'
        "    p@.start()\n"
    )
    return HEAD + WORK + many(count, block)


def no_guard(count: int) -> str:
    """Pools and prompts without a guard."""
    return HEAD + WORK + many(count, "multiprocessing.Pool(2).map(work, range(@))\nr@ = input()\n")


def long_function(count: int) -> str:
    """One pool in a very long function that has nothing to do with it."""
    block = "    if x@:\n        y@ = work(x@)\n    else:\n        y@ = [z for z in x@]\n"
    body = "def run(pool):\n    pool = multiprocessing.Pool(2)\n" + many(count * 3, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"
