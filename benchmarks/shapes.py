"""Programs of adversarial shapes, and how the analysis of each grows.

    python benchmarks/shapes.py               all shapes: N things, and ten times as many
    python benchmarks/shapes.py SHAPE ...     some of them

Measured is the time beyond LibCST's parse, which should grow no more than twelve times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import inside

THINGS = 100
BUDGET = 12
TIMEOUT = 300
"""Seconds for one shape; what takes longer is shown so."""

HEAD = "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n\n\n"
WORK = "def work(x):\n    return x\n\n\n"


def _many(count: int, block: str) -> str:
    return "".join(block.replace("@@", str(i + 1)).replace("@", str(i)) for i in range(count))


def aliases_of_pools(count: int) -> str:
    """A pool that goes by thousands of names."""
    chain = _many(count, "    p@@ = p@\n")
    last = f"    p{count}.map(work, [1])\n    p{count}.close()\n    p{count}.join()\n"
    return HEAD + WORK + "def run():\n    p0 = multiprocessing.Pool(2)\n" + chain + last


def one_name(count: int) -> str:
    """One name that gets a new value again and again."""
    body = _many(count, "x = work(x)\nx += @\n")
    return HEAD + WORK + "x = 1\n" + body + "pool = multiprocessing.Pool(x)\npool.map(work, x)\n"


def one_name_in_a_loop(count: int) -> str:
    """The same, in a loop."""
    body = _many(count, "    x, y = y, x + @\n")
    return HEAD + WORK + "x = y = 1\nwhile y:\n" + body + "multiprocessing.Pool(x).map(work, y)\n"


def one_pool_anew(count: int) -> str:
    """One name for many pools, one after the other."""
    block = "    p = multiprocessing.Pool(2)\n    p.map(work, [@])\n    p.close()\n    p.join()\n"
    return HEAD + WORK + "def run():\n" + _many(count, block)


def calls_that_call_twice(count: int) -> str:
    """Functions each of which calls the next one twice with a pool."""
    body = _many(count, "def f@(pool):\n    f@@(pool)\n    return f@@(pool)\n\n\n")
    last = f"def f{count}(pool):\n    return pool.map(work, [1])\n\n\n"
    return HEAD + WORK + body + last + "def run():\n    f0(multiprocessing.Pool(2))\n"


def calls_of_one(count: int) -> str:
    """One function that is called from many with a pool of their own."""
    use = (
        "def use(pool):\n    found = pool.map(work, [1])\n    pool.close()\n    return found\n\n\n"
    )
    return HEAD + WORK + use + _many(count, "def f@():\n    use(multiprocessing.Pool(2))\n\n\n")


def results_of_calls(count: int) -> str:
    """A value that goes through many functions."""
    body = _many(count, "def f@(x):\n    y = f@@(x)\n    return y\n\n\n")
    last = f"def f{count}(x):\n    return work\n\n\n"
    return HEAD + WORK + body + last + "multiprocessing.Pool(2).map(f0(1), [1])\n"


def nested_functions(count: int) -> str:
    """One function with many in it."""
    block = "    def f@(x):\n        return pool.apply(work, (x,))\n\n"
    body = "def run():\n    pool = multiprocessing.Pool(2)\n\n" + _many(count, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"


def branches_with_events(count: int) -> str:
    """Branches in each of which the pool is ended, or not."""
    block = "    if flags[@]:\n        pool.close()\n    elif flag:\n        pool.terminate()\n"
    body = "def run(flags, flag):\n    pool = multiprocessing.Pool(2)\n" + _many(count, block)
    return HEAD + WORK + body + "    pool.join()\n"


def branches_on_names(count: int) -> str:
    """Branches by tests that come again, with a start and a join in each."""
    block = "    if flag@:\n        p.start()\n    if flag@:\n        p.join()\n"
    body = f"def run({', '.join(f'flag{i}' for i in range(count))}):\n"
    return (
        HEAD + WORK + body + "    p = multiprocessing.Process(target=work)\n" + _many(count, block)
    )


def elif_with_pools(count: int) -> str:
    """A long ``if`` and ``elif`` with a pool in each branch."""
    block = "    elif kind == @:\n        pool = multiprocessing.Pool(@@)\n"
    body = "def run(kind):\n    if kind == -1:\n        pool = None\n" + _many(count, block)
    return HEAD + WORK + body + "    pool.map(work, [1])\n    pool.close()\n    pool.join()\n"


def tries(count: int) -> str:
    """``try`` after ``try`` around the same pool."""
    block = (
        "    try:\n        pool.apply(work, (@,))\n    except ValueError:\n"
        "        pool.terminate()\n        raise\n    finally:\n        print(@)\n"
    )
    body = "def run():\n    pool = multiprocessing.Pool(2)\n" + _many(count, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"


def loops_in_a_row(count: int) -> str:
    """Loop after loop over the same processes."""
    block = "    for p in ps:\n        p.start()\n    for p in ps:\n        p.join()\n"
    first = "def run():\n    ps = [multiprocessing.Process(target=work) for _ in range(4)]\n"
    return HEAD + WORK + first + _many(count, block)


def processes_of_a_list(count: int) -> str:
    """Processes that are put into one list."""
    block = "    ps.append(multiprocessing.Process(target=work, args=(@,)))\n    ps[@].start()\n"
    body = "def run():\n    ps = []\n" + _many(count, block)
    return HEAD + WORK + body + "    for p in ps:\n        p.join()\n"


def wide_dict(count: int) -> str:
    """A dict with a function for each key, one of which is the task."""
    body = _many(count, "def f@(x):\n    return x\n\n\n")
    table = "TABLE = {\n" + _many(count, "    'f@': f@,\n") + "}\n\n\n"
    return HEAD + body + table + "def run(key):\n    multiprocessing.Pool(2).map(TABLE[key], [1])\n"


def stores_in_a_dict(count: int) -> str:
    """A dict that is filled key by key, and goes to a worker."""
    body = "def run():\n    d = {}\n" + _many(count, "    d['k@'] = @\n    d['l@'] = d['k@']\n")
    return HEAD + WORK + body + "    multiprocessing.Pool(2).apply(work, (d,))\n"


def literal_tasks(count: int) -> str:
    """A long list of tasks that is written out."""
    tasks = "TASKS = [\n" + _many(count * 5, "    (work, @, 'name @', {'a': @}, lambda x: @),\n")
    return (
        HEAD
        + WORK
        + tasks
        + "]\n\n\nwith multiprocessing.Pool(2) as p:\n    p.starmap(work, TASKS)\n"
    )


def submits(count: int) -> str:
    """Many futures in one list."""
    block = "    futures.append(executor.submit(work, @))\n"
    body = "def run():\n    executor = ProcessPoolExecutor()\n    futures = []\n"
    end = "    for future in futures:\n        future.result()\n    executor.shutdown()\n"
    return HEAD + WORK + body + _many(count * 2, block) + end


def classes_with_attributes(count: int) -> str:
    """Many classes, each with a pool, a lock and a method as task."""
    block = (
        "class C@:\n    def __init__(self):\n        self.pool = multiprocessing.Pool(2)\n"
        "        self.lock = multiprocessing.Lock()\n        self.other = C@@\n\n"
        "    def run(self):\n        return self.pool.map(self.one, [1])\n\n"
        "    def one(self, x):\n        return x\n\n"
        "    def close(self):\n        self.pool.close()\n        self.pool.join()\n\n\n"
    )
    return HEAD + _many(count, block)


def attributes_of_a_class(count: int) -> str:
    """One class with many attributes and methods, that goes to a worker."""
    first = "class C:\n    def __init__(self):\n" + _many(count, "        self.a@ = self.a@@ = @\n")
    methods = _many(count, "    def m@(self, x):\n        return self.a@ + self.m@@(x)\n\n")
    run = "    def run(self):\n        with multiprocessing.Pool(2) as p:\n"
    return HEAD + first + "\n" + methods + run + "            return p.map(self.m0, [1])\n"


def family(count: int) -> str:
    """Classes each of which inherits from the one before."""
    first = "class C0(multiprocessing.Process):\n    def run(self):\n        print(self)\n\n\n"
    block = "class C@@(C@):\n    def m@(self):\n        return self.m0()\n\n\n"
    return HEAD + first + _many(count, block) + f"p = C{count}()\np.start()\np.join()\n"


def workers(count: int) -> str:
    """Many worker functions that change one global."""
    block = (
        "def f@(x):\n    global total\n    total += x\n    done.append(x)\n    return total\n\n\n"
        "def run@():\n    with multiprocessing.Pool(2) as pool:\n        pool.map(f@, [1])\n\n\n"
    )
    return HEAD + "total = 0\ndone = []\n\n\n" + _many(count, block) + "print(total, done)\n"


def queues(count: int) -> str:
    """Many queues between many processes."""
    block = (
        "    q@ = multiprocessing.Queue()\n"
        "    p@ = multiprocessing.Process(target=feed, args=(q@,))\n    p@.start()\n"
        "    print(q@.get())\n    p@.join()\n"
    )
    return HEAD + "def feed(q):\n    q.put(1)\n\n\ndef run():\n" + _many(count, block)


def one_queue(count: int) -> str:
    """One queue that is filled and read in many places."""
    block = (
        "def f@(q):\n    while not q.empty():\n        q.put(q.get() + @)\n\n\n"
        "def run@():\n    multiprocessing.Process(target=f@, args=(queue,)).start()\n\n\n"
    )
    return HEAD + "queue = multiprocessing.Queue()\n\n\n" + _many(count, block)


def pipes(count: int) -> str:
    """Many pipes, whose ends go to processes."""
    block = (
        "    a@, b@ = multiprocessing.Pipe()\n"
        "    multiprocessing.Process(target=feed, args=(b@,)).start()\n    print(a@.recv())\n"
    )
    return HEAD + "def feed(end):\n    end.send(1)\n\n\ndef run():\n" + _many(count, block)


def comprehensions(count: int) -> str:
    """Comprehensions of each other."""
    body = "x0 = [1]\n" + _many(count, "x@@ = [work(y) for y in x@ if y]\n")
    return HEAD + WORK + body + f"multiprocessing.Pool(2).map(work, x{count})\n"


def partials(count: int) -> str:
    """Partials of partials."""
    body = "from functools import partial\nf0 = work\n" + _many(count, "f@@ = partial(f@, @)\n")
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


def conditions(count: int) -> str:
    """Numbers of workers that hang on many conditions."""
    body = "n = 4\n" + _many(count, "if n > @ and m != @:\n    n = min(n, @) or @\n")
    return HEAD + WORK + "m = work(1)\n" + body + "multiprocessing.Pool(n).map(work, [1])\n"


def withs(count: int) -> str:
    """Executors in ``with`` blocks, one after the other."""
    block = (
        "    with ProcessPoolExecutor() as e@:\n        f@ = e@.submit(work, @)\n"
        "        e@.map(work, [@])\n    print(f@.result())\n"
    )
    return HEAD + WORK + "def run():\n" + _many(count, block)


def guards(count: int) -> str:
    """Many blocks of the main program."""
    block = (
        'if __name__ == "__main__":\n    p@ = multiprocessing.Process(target=work)\n'
        "    p@.start()\n"
    )
    return HEAD + WORK + _many(count, block)


def long_function(count: int) -> str:
    """One pool in a very long function that has nothing to do with it."""
    block = "    if x@:\n        y@ = work(x@)\n    else:\n        y@ = [z for z in x@]\n"
    body = "def run(pool):\n    pool = multiprocessing.Pool(2)\n" + _many(count * 3, block)
    return HEAD + WORK + body + "    pool.close()\n    pool.join()\n"


def callbacks(count: int) -> str:
    """Tasks with callbacks that call each other."""
    body = (
        _many(count, "def done@(x):\n    done@@(x)\n\n\n")
        + f"def done{count}(x):\n    raise x\n\n\n"
    )
    block = "    pool.apply_async(work, (@,), callback=done@, error_callback=done@@)\n"
    first = "def run():\n    pool = multiprocessing.Pool(2)\n"
    return HEAD + WORK + body + first + _many(count, block) + "    pool.close()\n    pool.join()\n"


def started_then_joined(count: int) -> str:
    """Many processes, all of which are started before the first is joined."""
    make = _many(count, "    p@ = multiprocessing.Process(target=work, args=(@,))\n")
    use = _many(count, "    p@.start()\n") + _many(count, "    p@.join()\n")
    return HEAD + WORK + 'if __name__ == "__main__":\n' + make + use


def inherited_attributes(count: int) -> str:
    """Classes each of which adds a pool to those of the one before."""
    first = "class C0:\n    def __init__(self):\n        self.p0 = multiprocessing.Pool(2)\n\n\n"
    block = (
        "class C@@(C@):\n    def __init__(self):\n        super().__init__()\n"
        "        self.p@@ = multiprocessing.Pool(2)\n\n"
        "    def run@@(self):\n        self.p@@.map(self.run@@, [1])\n\n\n"
    )
    return HEAD + first + _many(count, block)


SHAPES: dict[str, Callable[[int], str]] = {
    function.__name__: function
    for function in list(globals().values())
    if callable(function)
    and not function.__name__.startswith("_")
    and function.__module__ == __name__
}


def measured(shape: str) -> list[float] | None:
    """Seconds beyond the parse for the two sizes, in a process of its own.

    Fewer, where the analysis says that it is too much for it; none, where it takes too long.
    """
    command = [sys.executable, __file__, "--one", shape]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT, check=True)
    except subprocess.TimeoutExpired:
        return None
    found: list[float] = json.loads(done.stdout)
    return found


def one(shape: str) -> None:
    """What ``measured`` asks for."""
    inside.registry.all_rules()
    inside.timed(SHAPES[shape](THINGS), "warm.py")
    seconds: list[float] = []
    for count, runs in ((THINGS, 3), (10 * THINGS, 1)):
        source = SHAPES[shape](count)
        try:
            times = [inside.timed(source, "generated.py") for _ in range(runs)]
        except (RecursionError, inside.analysis.Unparsable):
            break  # users get MPP001
        parse, everything = min(times, key=sum)
        seconds.append(max(everything - parse, 0.0001))
    print(json.dumps(seconds))


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--one"]:
        one(arguments[1])
        return 0
    too_much = 0
    for shape in arguments or SHAPES:
        seconds = measured(shape)
        if seconds is None:
            print(f"{shape:24} no end after {TIMEOUT} s", flush=True)
            too_much += 1
            continue
        if len(seconds) < 2:
            print(f"{shape:24} MPP001", flush=True)
            continue
        small, large = seconds
        mark = "" if large / small <= BUDGET else "  more than linear"
        too_much += bool(mark)
        print(f"{shape:24} {small:8.3f} s {large:8.3f} s {large / small:6.1f}{mark}", flush=True)
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
