"""What refers to itself, directly or in a circle: the analysis ends, soon, and without an error.

Each program is linted with all that is opt-in, and its worker API calls ask about the values that
go in circles.
"""

from __future__ import annotations

import time

import fuzz
import pytest

HEAD = "import multiprocessing as mp\nimport functools\nfrom concurrent.futures import *\n"
#: Asks about the names a, b and c in all ways.
ASK = """
def ask(a, b, c):
    return a
if __name__ == "__main__":
    with mp.Pool(c) as pool, ProcessPoolExecutor(a) as executor:
        result = pool.apply_async(a, (b, c), callback=b, error_callback=c)
        pool.map(a, b, chunksize=c)
        executor.submit(a, b, c).add_done_callback(c)
        executor.map(a, b)
    p = mp.Process(target=a, args=(b,), kwargs=c)
    p.start()
    p.join()
    a.start(); a.join(); b.close(); b.join(); c.put(a); c.get(); b.apply_async(a)
"""

PROGRAMS = {
    "aliases": "a = b\nb = c\nc = a\n",
    "an alias of itself": "a = a\nb = b.b\nc = c()\n",
    "tuples of each other": (
        "a = (b, c)\nb = (a, c)\nc = [a, b, *c]\na, b = b, a\n(a, (b, c)) = a\n"
    ),
    "dicts of themselves": "a = {}\na[a] = a\na['a'] = b = {**a, 'b': c}\nc = a['b'][c]\n",
    "names rebound in loops": (
        "a = mp.Pool()\nb = mp.Queue()\nc = 2\n"
        "while a:\n    a, b, c = b, c, a\n    for a in b:\n        b = [a, c]\n        c = c + a\n"
        "    else:\n        c = a[0]\n"
    ),
    "numbers that grow": (
        "a = b = c = 1\nfor x in range(9):\n    c += a\n    a = b * c\n    b = a ** c\n"
    ),
    "a walrus in circles": (
        "a = [b := (c := (a := b)) for b in (a := c)]\nc = (b := (a := (c := c)))\n"
    ),
    "comprehensions of each other": (
        "a = [x for x in b]\nb = {x: c for x in a}\nc = {y for x in a for y in x for x in b}\n"
    ),
    "a class that inherits from itself": (
        "class a(a): pass\nclass b(b.b, c): pass\nclass c(a, b): pass\n"
    ),
    "classes that inherit from each other": (
        "class a(b): pass\nclass b(c): pass\nclass c(a, mp.Process):\n"
        "    def __init__(self): super().__init__()\n    def run(self): super().run()\n"
    ),
    "a class in itself": (
        "class a:\n    class a(a):\n        b = a\n"
        "        class a(b): c = a\nb = a.a.a\nc = b.c.a\n"
    ),
    "a metaclass that is its class": (
        "class a(metaclass=a): pass\nclass b(metaclass=c): pass\nclass c(b): pass\n"
    ),
    "functions that call each other": (
        "def a(x, y=None): return b(x, a)\ndef b(x, y=None): return c(y, b)\n"
        "def c(x, y=None): return a(x, c)\n"
    ),
    "functions that give each other": (
        "def a(x): return b\ndef b(x): return c\ndef c(x): return a(x)(x)(x)(a)\na = a(a)\n"
    ),
    "functions that hand a pool on": (
        "def a(pool): b(pool); pool.close(); return c(pool)\n"
        "def b(pool): c(pool); pool.join(); a(pool); return pool\n"
        "def c(pool): pool = a(b(pool)); pool.map(a, pool); return pool\n"
        "a(mp.Pool()); b(mp.Pool()); c(c(c(mp.Pool())))\n"
    ),
    "a function that makes itself": (
        "def a(x):\n    def a(x):\n        return a(a)\n    return a(x)\nb = a(a)\nc = b(a)(b)\n"
    ),
    "decorators of decorators": (
        "@b\ndef a(f):\n    @a\n    @functools.wraps(f)\n"
        "    def g(*x): return f(*x)\n    return g\n"
        "@a\n@c\ndef b(f): return a(b(f))\n@c\n@b\n@a\ndef c(f): return c\n"
    ),
    "properties of each other": (
        "class A:\n    @property\n    def a(self): return self.b\n    @property\n"
        "    def b(self): return self.c()\n    def c(self): return self.a\n"
        "a = A().a\nb = A().b\nc = A().c\n"
    ),
    "attributes of themselves": (
        "class A(mp.Process):\n    x = A\n    def __init__(self, a):\n        self.x = self.x.y\n"
        "        self.y = self.x.y.x\n        self.z = self\n        self.pool = self.z.pool\n"
        "    def run(self): self.x.y.z.run(); self.pool.map(self.run, self.x)\n"
        "a = A(A(A)).x\nb = a.y\nc = b.z.z.z\n"
    ),
    "objects in each other": (
        "class A:\n    def __init__(self, b=None): self.b = b or B(self)\n"
        "class B:\n    def __init__(self, a=None): self.a = a or A(self)\n"
        "a = A(); b = B(a); c = a.b.a.b.a.b\na.b = b; b.a = a; a.c = c\n"
    ),
    "lambdas that call each other": (
        "a = lambda x: b(x)\nb = lambda x: c(a)\nc = lambda x: (lambda y: y(y))(lambda y: y(y))\n"
    ),
    "defaults of each other": (
        "def a(x=None, y=b): return y(x=a)\ndef b(x=a, y=c): return x(y)\n"
        "def c(x=lambda x=a: x, *y): return x\n"
    ),
    "partials of partials": (
        "a = functools.partial(b, c)\nb = functools.partial(a, a)\n"
        "c = functools.partial(functools.partial, c)(c)\n"
    ),
    "a module that imports itself": (
        "import program\nfrom program import a, b, c\nfrom . import program as a\n"
        "from program import *\na = program.b\nb = program.a\nc = program.program.c\n"
    ),
    "globals set by those that read them": (
        "def f():\n    global a, b, c\n    a = b\n    b = g\n    c = g()\n"
        "def g():\n    global a, b, c\n    a = f\n    b = c\n    c = f()\n    return a\nf()\n"
    ),
    "exceptions in circles": (
        "try:\n    a = 1\nexcept a as a:\n    raise a from a\nelse:\n    b = a\n"
        "class c(c): pass\nclass E(Exception):\n    def __init__(self, e): super().__init__(E(e))\n"
        "def b(x): raise E(E(b))\n"
    ),
    "generators of each other": (
        "def a(): yield from b()\ndef b():\n    x = yield c\n    yield from a()\n"
        "def c(): return (yield (yield from c()))\n"
    ),
    "processes that start each other": (
        "def a(*x): mp.Process(target=b).start(); mp.Pool().map(a, x)\n"
        "def b(*x): mp.Process(target=c).start()\ndef c(*x): mp.Process(target=a).start()\n"
    ),
    "annotations of themselves": (
        "a: a = a\nb: 'list[b]' = b\n"
        "def c(x: c, y: 'c') -> 'c': return c(x, y)\nclass D: d: 'D' = D.d\n"
    ),
    "containers in themselves": (
        "a = []\na.append(a)\nb = [a] * 2\na.extend(b)\nb += [b]\nc = dict(c=a)\nc.update(c)\n"
        "c['c'].append(c)\nfor a in a:\n    a.append(b)\n"
    ),
    "subscripts": "a = a[a]\nb = b[b[b]]\nc = a[b][c]\na[b] = b[a] = c\n",
    "conditions on themselves": (
        "a = a if a else b if b else a\nb = a and b or c\nc = not (c and a)\n"
        "while a if b else c:\n    if a: b = a\n    elif b: a = b\n    else: continue\n"
    ),
    "a pool in a pool": (
        "pool = mp.Pool()\npool = pool.apply_async(pool).get()\na = pool.map(pool.map, pool)\n"
        "b = pool._pool\nc = pool.apply(lambda: pool)\npool = a\n"
    ),
    "managers of managers": (
        "a = mp.Manager()\nb = a.dict(a=a.list([a.dict()]))\n"
        "b['b'] = b\nc = b['b']['b']\nc['a'] = c\n"
    ),
    "match in circles": (
        "match a:\n    case [b, *a] if (c := b): a = c\n    case {'a': a, **b}: c = a\n"
        "    case a.b(c=a) | a.c(c=a): b = a\n    case _: a = b\n"
    ),
    "with in circles": "with a as b, b as c, c as a:\n    with (a := b) as b:\n        c = a\n",
}
#: Circles of many things.
LONG = {
    "many aliases": "".join(f"x{i} = x{(i + 1) % 300}\n" for i in range(300)) + "a = b = c = x0\n",
    "many classes": "".join(f"class x{i}(x{(i + 1) % 100}): pass\n" for i in range(100))
    + "a = x0()\nb = x1\nc = x2.y\n",
    "many functions": "".join(
        f"def x{i}(p): p.close(); return x{(i + 1) % 100}(x{(i + 7) % 100}(p))\n"
        for i in range(100)
    )
    + "a = x0(mp.Pool())\nb = x1\nc = x2\n",
    "many decorators": "".join(
        f"@x{(i + 1) % 60}\ndef x{i}(f): return x{(i + 2) % 60}\n" for i in range(60)
    )
    + "a = b = c = x0\n",
    "many attributes": "class A:\n    def f(self):\n"
    + "".join(f"        self.x{i} = self.x{(i + 1) % 100}.x{(i + 3) % 100}\n" for i in range(100))
    + "a = A()\nb = a.x0\nc = a.f\n",
    "many that are any of the others": "".join(
        f"x{i} = [{', '.join(f'x{j}' for j in range(20))}][x{i}]\n" for i in range(20)
    )
    + "a = b = c = x0\n",
    "many lambdas": "".join(f"x{i} = lambda y: x{(i + 1) % 100}(x{i})\n" for i in range(100))
    + "a = b = c = x0\n",
    "many branches that end a pool": "a = b = c = mp.Pool()\n"
    + "".join(f"if f[{i}]: a.close()\nelif g: a.terminate()\n" for i in range(150)),
    "many rebindings": "a, b, c = 1, mp.Pool(), print\n"
    + "while a:\n"
    + "    a, b, c = b, c, a\n" * 100,
}

SECONDS = 5.0


@pytest.mark.parametrize("name", [*PROGRAMS, *LONG])
@pytest.mark.parametrize("inside", [False, True], ids=["module", "function"])
def test_it_ends(name: str, inside: bool) -> None:
    body = {**PROGRAMS, **LONG}[name]
    if inside:
        lines = body.splitlines()
        lines = [f"    {line}" for line in lines if " import *" not in line]
        body = "\n".join(["def main():", *lines, "    return a, b, c", "a, b, c = main()\n"])
    start = time.process_time()
    outcome = fuzz.check(fuzz.Program(HEAD + body + ASK))
    spent = time.process_time() - start
    assert outcome.problem == ""
    assert spent < SECONDS
