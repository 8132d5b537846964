"""Classes and their attributes."""

from __future__ import annotations

from programs import HEAD, WORK, many


def classes_with_attributes(count: int) -> str:
    """Many classes, each with a pool, a lock and a method as task."""
    block = (
        "class C@:\n    def __init__(self):\n        self.pool = multiprocessing.Pool(2)\n"
        "        self.lock = multiprocessing.Lock()\n        self.other = C@@\n\n"
        "    def run(self):\n        return self.pool.map(self.one, [1])\n\n"
        "    def one(self, x):\n        return x\n\n"
        "    def close(self):\n        self.pool.close()\n        self.pool.join()\n\n\n"
    )
    return HEAD + many(count, block)


def attributes_of_a_class(count: int) -> str:
    """One class with many attributes and methods, that goes to a worker."""
    first = "class C:\n    def __init__(self):\n" + many(count, "        self.a@ = self.a@@ = @\n")
    methods = many(count, "    def m@(self, x):\n        return self.a@ + self.m@@(x)\n\n")
    run = "    def run(self):\n        with multiprocessing.Pool(2) as p:\n"
    return HEAD + first + "\n" + methods + run + "            return p.map(self.m0, [1])\n"


def family(count: int) -> str:
    """Classes each of which inherits from the one before."""
    first = "class C0(multiprocessing.Process):\n    def run(self):\n        print(self)\n\n\n"
    block = "class C@@(C@):\n    def m@(self):\n        return self.m0()\n\n\n"
    return HEAD + first + many(count, block) + f"p = C{count}()\np.start()\np.join()\n"


def inherited_attributes(count: int) -> str:
    """Classes each of which adds a pool to those of the one before."""
    first = "class C0:\n    def __init__(self):\n        self.p0 = multiprocessing.Pool(2)\n\n\n"
    block = (
        "class C@@(C@):\n    def __init__(self):\n        super().__init__()\n"
        "        self.p@@ = multiprocessing.Pool(2)\n\n"
        "    def run@@(self):\n        self.p@@.map(self.run@@, [1])\n\n\n"
    )
    return HEAD + first + many(count, block)


def attrs_shared_name(count: int) -> str:
    """Classes whose attributes have the same names."""
    return (
        HEAD
        + WORK
        + many(
            count,
            (
                "class C@:\n    def __init__(self, p):\n        self.p = p\n"
                "        self.q = multiprocessing.Queue()\n\n    def go(self):\n"
                "        self.p.start()\n        self.q.put(1)\n        self.p.join()\n\n"
                "    def read(self):\n        return self.q.get()\n\n\n"
                "c@ = C@(multiprocessing.Process(target=work))\nc@.go()\nc@.read()\n\n\n"
            ),
        )
    )


def self_pool_methods(count: int) -> str:
    """Methods that use the pool of their object and call each other."""
    return (
        HEAD
        + WORK
        + ("class C:\n    def __init__(self):\n        self.pool = multiprocessing.Pool(2)\n\n")
        + many(
            count,
            (
                "    def m@(self, x):\n        self.pool.map(work, [@])\n"
                "        return self.m@@(x)\n\n"
            ),
        )
        + (
            f"    def m{count}(self, x):\n        self.pool.close()\n\n"
            f"    def join(self):\n        self.pool.join()\n"
        )
    )


def one_optional_pool(count: int) -> str:
    """One attribute that many methods fill with a pool where there is none."""
    return (
        HEAD
        + WORK
        + "class C:\n    def __init__(self):\n        self.pool = None\n\n"
        + many(
            count,
            (
                "    def m@(self):\n        if self.pool is None:\n"
                "            self.pool = multiprocessing.Pool(2)\n"
                "        return self.pool.map(work, [1])\n\n"
            ),
        )
        + (
            "    def close(self):\n        if self.pool is not None:\n"
            "            self.pool.close()\n            self.pool.join()\n"
        )
    )


def process_classes(count: int) -> str:
    """Subclasses of ``Process`` with a queue of their own."""
    return (
        HEAD
        + many(
            count,
            (
                "class P@(multiprocessing.Process):\n    def __init__(self, x):\n"
                "        super().__init__(daemon=True)\n        self.x = x\n"
                "        self.q = multiprocessing.Queue()\n\n    def run(self):\n"
                "        self.x += 1\n        self.q.put(self.x)\n\n\n"
            ),
        )
        + "def main():\n"
        + many(
            count, ("    p@ = P@(@)\n    p@.start()\n    print(p@.x, p@.q.get())\n    p@.join()\n")
        )
    )


def stores_outside(count: int) -> str:
    """Objects that get a lock from outside."""
    return (
        HEAD
        + "import threading\n"
        + WORK
        + many(count, "class C@:\n    def run(self, x):\n        return self.lock\n\n\n")
        + "def main():\n    with multiprocessing.Pool(2) as pool:\n"
        + many(
            count,
            (
                "        c@ = C@()\n        c@.lock = threading.Lock()\n"
                "        pool.map(c@.run, [1])\n"
            ),
        )
    )


def getstates(count: int) -> str:
    """Classes that leave their pool out when they are pickled."""
    return HEAD + many(
        count,
        (
            "class C@:\n    def __init__(self):\n"
            "        self.pool = multiprocessing.Pool(2)\n        self.x = lambda: @\n\n"
            "    def __getstate__(self):\n        s = self.__dict__.copy()\n"
            "        del s['pool']\n        s.pop('x')\n        return s\n\n"
            "    def run(self):\n        self.pool.map(self.f, [1])\n\n"
            "    def f(self, x):\n        return self.pool\n\n\n"
        ),
    )


def dataclasses_given(count: int) -> str:
    """Objects of dataclasses with a lock and a lambda in them."""
    return (
        HEAD
        + "from dataclasses import dataclass, field\nimport threading\n"
        + WORK
        + many(
            count,
            (
                "\0dataclass\nclass D@:\n    x: int\n"
                "    lock: object = field(default_factory=threading.Lock)\n"
                "    f: object = lambda x: x\n\n\n"
            ),
        ).replace("\0", "@")
        + "with multiprocessing.Pool(2) as pool:\n"
        + many(count, "    pool.apply(work, (D@(@),))\n")
    )
