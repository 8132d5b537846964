"""Processes, queues, pipes, locks and results."""

from __future__ import annotations

from programs import HEAD, WORK, many


def submits(count: int) -> str:
    """Many futures in one list."""
    block = "    futures.append(executor.submit(work, @))\n"
    body = "def run():\n    executor = ProcessPoolExecutor()\n    futures = []\n"
    end = "    for future in futures:\n        future.result()\n    executor.shutdown()\n"
    return HEAD + WORK + body + many(count * 2, block) + end


def results_polled(count: int) -> str:
    """Results that are polled before they are fetched."""
    return (
        HEAD
        + "import time\n"
        + WORK
        + "def run():\n    with multiprocessing.Pool(2) as p:\n"
        + many(
            count,
            (
                "        r@ = p.apply_async(work, (@,))\n        while not r@.ready():\n"
                "            time.sleep(@)\n        print(r@.get())\n"
            ),
        )
    )


def processes_of_a_list(count: int) -> str:
    """Processes that are put into one list."""
    block = "    ps.append(multiprocessing.Process(target=work, args=(@,)))\n    ps[@].start()\n"
    body = "def run():\n    ps = []\n" + many(count, block)
    return HEAD + WORK + body + "    for p in ps:\n        p.join()\n"


def started_then_joined(count: int) -> str:
    """Many processes, all of which are started before the first is joined."""
    make = many(count, "    p@ = multiprocessing.Process(target=work, args=(@,))\n")
    use = many(count, "    p@.start()\n") + many(count, "    p@.join()\n")
    return HEAD + WORK + 'if __name__ == "__main__":\n' + make + use


def threads_between(count: int) -> str:
    """Threads and processes by turns."""
    return (
        HEAD
        + "import threading\nimport time\n"
        + WORK
        + many(count, "def t@():\n    time.sleep(@)\n\n\n")
        + many(
            count,
            (
                "th@ = threading.Thread(target=t@)\nth@.start()\n"
                "multiprocessing.Process(target=work).start()\n"
            ),
        )
    )


def signals(count: int) -> str:
    """Pools that exit functions and signal handlers end."""
    return (
        HEAD
        + "import signal, atexit\n"
        + WORK
        + "def main():\n"
        + many(
            count,
            (
                "    p@ = multiprocessing.Pool(2)\n    atexit.register(p@.terminate)\n"
                "    signal.signal(@, lambda *a: p@.close())\n    p@.map(work, [@])\n"
            ),
        )
    )


def queues(count: int) -> str:
    """Many queues between many processes."""
    block = (
        "    q@ = multiprocessing.Queue()\n"
        "    p@ = multiprocessing.Process(target=feed, args=(q@,))\n    p@.start()\n"
        "    print(q@.get())\n    p@.join()\n"
    )
    return HEAD + "def feed(q):\n    q.put(1)\n\n\ndef run():\n" + many(count, block)


def one_queue(count: int) -> str:
    """One queue that is filled and read in many places."""
    block = (
        "def f@(q):\n    while not q.empty():\n        q.put(q.get() + @)\n\n\n"
        "def run@():\n    multiprocessing.Process(target=f@, args=(queue,)).start()\n\n\n"
    )
    return HEAD + "queue = multiprocessing.Queue()\n\n\n" + many(count, block)


def module_queues(count: int) -> str:
    """Many queues of the module, each with its process and its loop."""
    return (
        HEAD
        + "def feed(q):\n    q.put(1)\n\n\n"
        + many(
            count,
            (
                "q@ = multiprocessing.Queue()\n\n\ndef f@():\n    q@.put(1)\n"
                "    multiprocessing.Process(target=feed, args=(q@,)).start()\n"
                "    while not q@.empty():\n        q@.get()\n\n\n"
            ),
        )
    )


def tries_get(count: int) -> str:
    """``try`` after ``try`` around a queue."""
    return (
        HEAD
        + "import queue\n"
        + "def run(x):\n    q = multiprocessing.Queue()\n"
        + many(
            count,
            (
                "    try:\n        x = q.get(timeout=@)\n    except queue.Empty:\n"
                "        q.put(@)\n        continue_ = x\n"
            ),
        )
        + "    multiprocessing.Process(target=run, args=(q,)).start()\n"
    )


def pipes(count: int) -> str:
    """Many pipes, whose ends go to processes."""
    block = (
        "    a@, b@ = multiprocessing.Pipe()\n"
        "    multiprocessing.Process(target=feed, args=(b@,)).start()\n    print(a@.recv())\n"
    )
    return HEAD + "def feed(end):\n    end.send(1)\n\n\ndef run():\n" + many(count, block)


def pipes_closed(count: int) -> str:
    """Pipes whose ends are closed on both sides."""
    return (
        HEAD
        + ("def feed(a, b):\n    a.close()\n    b.send(1)\n    b.close()\n\n\ndef run():\n")
        + many(
            count,
            (
                "    a@, b@ = multiprocessing.Pipe()\n"
                "    p@ = multiprocessing.Process(target=feed, args=(a@, b@))\n    p@.start()\n"
                "    b@.close()\n    try:\n        while True:\n            print(a@.recv())\n"
                "    except EOFError:\n        pass\n    p@.join()\n"
            ),
        )
    )


def events_waits(count: int) -> str:
    """Processes that share an event and a queue, and are terminated."""
    return (
        HEAD
        + "def run():\n"
        + many(
            count,
            (
                "    e@ = multiprocessing.Event()\n    q@ = multiprocessing.JoinableQueue()\n"
                "    p@ = multiprocessing.Process(target=w, args=(e@, q@))\n    p@.start()\n"
                "    e@.wait()\n    q@.put(1)\n    q@.join()\n    p@.terminate()\n"
            ),
        )
        + "\n\ndef w(e, q):\n    e.set()\n    while True:\n        q.get()\n"
    )


def acquired_locks(count: int) -> str:
    """Locks that are acquired and released around each change."""
    return (
        HEAD
        + "def work(x):\n"
        + many(
            count,
            (
                "    lock@.acquire()\n    try:\n        v@.value += 1\n    finally:\n"
                "        lock@.release()\n"
            ),
        )
        + "\n\n"
        + many(count, "lock@ = multiprocessing.Lock()\nv@ = multiprocessing.Value('i', 0)\n")
        + "with multiprocessing.Pool(2) as pool:\n    pool.map(work, [1])\n"
    )


def locked_values(count: int) -> str:
    """Many shared values, changed with and without a lock."""
    return (
        HEAD
        + "lock = multiprocessing.Lock()\n"
        + many(count, "v@ = multiprocessing.Value('i', 0)\n")
        + "def work(x):\n"
        + many(
            count,
            (
                "    with lock:\n        v@.value += 1\n    v@.value += 1\n"
                "    with v@.get_lock():\n        v@.value += 1\n"
            ),
        )
        + (
            "ps = [multiprocessing.Process(target=work, args=(1,)) for _ in range(3)]\n"
            "for p in ps:\n    p.start()\n"
        )
    )


def one_value(count: int) -> str:
    """One shared value that many workers change."""
    return (
        HEAD
        + "lock = multiprocessing.Lock()\nv = multiprocessing.Value('i', 0)\n"
        + many(
            count, ("def work@(x):\n    v.value += 1\n    with lock:\n        v.value += 1\n\n\n")
        )
        + many(count, "multiprocessing.Process(target=work@, args=(1,)).start()\n")
    )


def shared_memories(count: int) -> str:
    """Many blocks of shared memory."""
    return (
        HEAD
        + "from multiprocessing.shared_memory import SharedMemory\n"
        + "def run():\n"
        + many(
            count,
            (
                "    s@ = SharedMemory(create=True, size=10)\n    s@.buf[0] = 1\n"
                "    s@.close()\n    s@.unlink()\n"
            ),
        )
    )


def managers(count: int) -> str:
    """Lists of a manager within a dict of a manager."""
    return (
        HEAD
        + WORK
        + "m = multiprocessing.Manager()\nd = m.dict()\n"
        + many(count, "l@ = m.list()\nd['a@'] = l@\nd['a@'].append(@)\nl@.append(d)\n")
        + "multiprocessing.Pool(2).apply(work, (d,))\n"
    )


def managed_dicts(count: int) -> str:
    """What a manager's dict holds, changed in place."""
    return (
        HEAD
        + "def work(d, k):\n"
        + many(
            count,
            ("    d['k@']['x'] = @\n    d['k@'].append(@)\n    v = d['l@']\n    v.append(@)\n"),
        )
        + ("\n\nif __name__ == '__main__':\n    m = multiprocessing.Manager()\n    d = m.dict()\n")
        + many(count, "    d['k@'] = {}\n    d['l@'] = []\n")
        + "    multiprocessing.Process(target=work, args=(d, 1)).start()\n"
    )


def contexts(count: int) -> str:
    """Things of one context that go to processes of another."""
    return (
        HEAD
        + WORK
        + many(
            count,
            (
                "c@ = multiprocessing.get_context('spawn')\nq@ = c@.Queue()\n"
                "l@ = multiprocessing.Lock()\n"
            ),
        )
        + many(count, "c@.Process(target=work, args=(q@, l@@, l@)).start()\n")
        + f"l{count} = 1\n"
    )
