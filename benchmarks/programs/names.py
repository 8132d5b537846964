"""Names, containers and what they hold."""

from __future__ import annotations

from programs import HEAD, WORK, many


def aliases_of_pools(count: int) -> str:
    """A pool that goes by thousands of names."""
    chain = many(count, "    p@@ = p@\n")
    last = f"    p{count}.map(work, [1])\n    p{count}.close()\n    p{count}.join()\n"
    return HEAD + WORK + "def run():\n    p0 = multiprocessing.Pool(2)\n" + chain + last


def one_name(count: int) -> str:
    """One name that gets a new value again and again."""
    body = many(count, "x = work(x)\nx += @\n")
    return HEAD + WORK + "x = 1\n" + body + "pool = multiprocessing.Pool(x)\npool.map(work, x)\n"


def one_name_in_a_loop(count: int) -> str:
    """The same, in a loop."""
    body = many(count, "    x, y = y, x + @\n")
    return HEAD + WORK + "x = y = 1\nwhile y:\n" + body + "multiprocessing.Pool(x).map(work, y)\n"


def one_pool_anew(count: int) -> str:
    """One name for many pools, one after the other."""
    block = "    p = multiprocessing.Pool(2)\n    p.map(work, [@])\n    p.close()\n    p.join()\n"
    return HEAD + WORK + "def run():\n" + many(count, block)


def function_aliases(count: int) -> str:
    """A function by many names, each of which is a task."""
    return (
        HEAD
        + WORK
        + "f0 = work\n"
        + many(count, "f@@ = f@\nmultiprocessing.Pool(2).map(f@@, [@])\n")
    )


def short_names(count: int) -> str:
    """Methods that are called by names of their own."""
    block = (
        "    p@ = multiprocessing.Process(target=work, args=(@,))\n"
        "    start@, join@ = p@.start, p@.join\n"
        "    start@()\n    put = rows.append\n    put(@)\n    join@()\n"
    )
    return HEAD + WORK + "def run():\n    rows = []\n" + many(count, block)


def wide_dict(count: int) -> str:
    """A dict with a function for each key, one of which is the task."""
    body = many(count, "def f@(x):\n    return x\n\n\n")
    table = "TABLE = {\n" + many(count, "    'f@': f@,\n") + "}\n\n\n"
    return HEAD + body + table + "def run(key):\n    multiprocessing.Pool(2).map(TABLE[key], [1])\n"


def stores_in_a_dict(count: int) -> str:
    """A dict that is filled key by key, and goes to a worker."""
    body = "def run():\n    d = {}\n" + many(count, "    d['k@'] = @\n    d['l@'] = d['k@']\n")
    return HEAD + WORK + body + "    multiprocessing.Pool(2).apply(work, (d,))\n"


def dict_of_functions(count: int) -> str:
    """A dict of functions, each of which is taken out by its key."""
    return (
        HEAD
        + many(count, "def f@(x):\n    return x\n")
        + "T = {\n"
        + many(count, "    'k@': f@,\n")
        + "}\npool = multiprocessing.Pool(2)\n"
        + many(count, "pool.apply_async(T['k@'], (@,))\n")
        + "pool.close()\npool.join()\n"
    )


def var_table(count: int) -> str:
    """A dict of functions that is asked again and again for one of them."""
    return (
        HEAD
        + many(count, "def f@(x):\n    return x\n")
        + "T = {\n"
        + many(count, "    'k@': f@,\n")
        + "}\ndef run(key):\n    pool = multiprocessing.Pool(2)\n"
        + many(count, "    pool.apply_async(T[key], (@,))\n")
        + "    pool.close()\n    pool.join()\n"
    )


def list_table(count: int) -> str:
    """A list of functions that are taken out by their place."""
    return (
        HEAD
        + many(count, "def f@(x):\n    return x\n")
        + "T = ["
        + ", ".join(f"f{i}" for i in range(count))
        + "]\ndef run(key):\n    pool = multiprocessing.Pool(2)\n"
        + many(count, "    pool.apply_async(T[@], (@,))\n")
        + "    pool.close()\n    pool.join()\n"
    )


def big_function_tables(count: int) -> str:
    """A table of rows with a function in each."""
    return (
        HEAD
        + many(count, "def f@(x):\n    return x\n")
        + "T = [\n"
        + many(count, "    ('k@', f@, {'n': @}),\n")
        + (
            "]\ndef run():\n    with multiprocessing.Pool(2) as pool:\n"
            "        for k, f, o in T:\n            pool.apply_async(f, (k,), o)\n"
            "        for row in T:\n            pool.apply_async(row[1], (row[0],))\n"
        )
    )


def maps_of_lists(count: int) -> str:
    """One list that grows between the calls that hand it over."""
    return (
        HEAD
        + WORK
        + "xs = [1, 2]\ndef run():\n    with multiprocessing.Pool(2) as pool:\n"
        + many(
            count, ("        xs.append(@)\n        r@ = pool.map(work, xs)\n        print(r@)\n")
        )
    )


def literal_tasks(count: int) -> str:
    """A long list of tasks that is written out."""
    tasks = "TASKS = [\n" + many(count * 5, "    (work, @, 'name @', {'a': @}, lambda x: @),\n")
    return (
        HEAD
        + WORK
        + tasks
        + "]\n\n\nwith multiprocessing.Pool(2) as p:\n    p.starmap(work, TASKS)\n"
    )


def partials(count: int) -> str:
    """Partials of partials."""
    body = "from functools import partial\nf0 = work\n" + many(count, "f@@ = partial(f@, @)\n")
    return HEAD + WORK + body + f"multiprocessing.Pool(2).map(f{count}, [1])\n"


def decorators(count: int) -> str:
    """Decorators by decorators."""
    first = "def d0(f):\n    return f\n\n\n"
    body = "".join(
        f"@d{i}\ndef d{i + 1}(f):\n    def g(*x):\n        return f(*x)\n\n    return g\n\n\n"
        for i in range(count)
    )
    last = f"@d{count}\ndef work(x):\n    return x\n\n\n"
    return HEAD + first + body + last + "multiprocessing.Pool(2).map(work, [1])\n"


def comprehensions(count: int) -> str:
    """Comprehensions of each other."""
    body = "x0 = [1]\n" + many(count, "x@@ = [work(y) for y in x@ if y]\n")
    return HEAD + WORK + body + f"multiprocessing.Pool(2).map(work, x{count})\n"


def lambdas(count: int) -> str:
    """Lambdas as tasks and as callbacks."""
    return (
        HEAD
        + "def run(pool):\n    pool = multiprocessing.Pool(2)\n"
        + many(
            count,
            (
                "    f@ = lambda x: x + @\n    pool.map(f@, [1])\n"
                "    pool.apply_async(work, callback=lambda x: f@(x))\n"
            ),
        )
        + "    pool.close()\n    pool.join()\n"
    )


def parameters(count: int) -> str:
    """A worker function of many parameters."""
    names = ", ".join(f"a{i}" for i in range(count))
    work = f"def work({names}):\n    return a0\n\n\n"
    args = ", ".join(str(i) for i in range(count))
    calls = (
        f"    pool.apply(work, ({args}))\n"
        f"    multiprocessing.Process(target=work, args=({args})).start()\n"
    )
    body = "def run():\n    pool = multiprocessing.Pool(2)\n" + calls
    return HEAD + work + body + "    pool.close()\n    pool.join()\n"


def counts_of_counts(count: int) -> str:
    """Numbers of workers that come of each other."""
    return (
        HEAD
        + "import os\n"
        + WORK
        + "n0 = os.cpu_count()\n"
        + many(count, "n@@ = max(1, n@ - 1) * 2\n")
        + many(count, "multiprocessing.Pool(n@).map(work, [1])\n")
    )


def arguments_parsed(count: int) -> str:
    """Numbers of workers from a command line of many options."""
    return (
        HEAD
        + "import argparse\n"
        + WORK
        + "def main():\n    ap = argparse.ArgumentParser()\n"
        + many(count, "    ap.add_argument('--w@', type=int, default=@)\n")
        + "    args = ap.parse_args()\n"
        + many(
            count, ("    with multiprocessing.Pool(args.w@) as p@:\n        p@.map(work, [@])\n")
        )
    )
