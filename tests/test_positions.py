"""Lines and columns: those of LibCST's own provider, and those of the interpreter where it differs.

The provider leaves the brackets of a tuple, or of a generator, outside; flake8 shows them.
"""

from __future__ import annotations

import ast
import io
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Callable, Iterable
from pathlib import Path

import libcst as cst
import libcst.matchers as m
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from linting import lint

from flake8_mppitfalls.syntax.positions import locate

Place = tuple[int, int]

#: Nodes whose place is the same by definition.
KINDS = (
    cst.AnnAssign,
    cst.Attribute,
    cst.Await,
    cst.BaseCompoundStatement,
    cst.BaseSmallStatement,
    cst.BinaryOperation,
    cst.BooleanOperation,
    cst.Call,
    cst.Comparison,
    cst.Dict,
    cst.DictComp,
    cst.ExceptHandler,
    cst.Float,
    cst.IfExp,
    cst.Integer,
    cst.Lambda,
    cst.List,
    cst.ListComp,
    cst.Name,
    cst.NamedExpr,
    cst.Set,
    cst.SetComp,
    cst.SimpleStatementLine,
    cst.Slice,
    cst.StarredElement,
    cst.Subscript,
    cst.UnaryOperation,
    cst.Yield,
)
#: What is in these has the place of the statement.
NO_EXPRESSIONS = (
    cst.Global,
    cst.Import,
    cst.ImportFrom,
    cst.MatchPattern,
    cst.Nonlocal,
    cst.TypeParameters,
)


def places(source: str, choose: Callable[[cst.Module], Iterable[cst.CSTNode]]) -> list[Place]:
    """The places of the chosen nodes."""
    source = textwrap.dedent(source)
    module = cst.parse_module(source)
    nodes = list(choose(module))
    assert nodes
    found = locate(module, ast.parse(source), io.StringIO(source).readlines(), nodes)
    return [found[node] for node in nodes]


def one(source: str, matcher: m.BaseMatcherNode) -> Place:
    """The place of the one node that matches."""
    [place] = places(source, lambda module: m.findall(module, matcher))
    return place


def differences(source: str) -> list[str]:
    """Where the places are not those of LibCST's provider."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    ranges = wrapper.resolve(PositionProvider)
    lines = source.splitlines(keepends=True)
    in_strings: set[cst.CSTNode] = set()
    elsewhere: set[cst.CSTNode] = set()
    for node in ranges:
        if isinstance(node, (cst.FormattedString, cst.ConcatenatedString)):
            in_strings.update(_below(node))
        elif isinstance(node, NO_EXPRESSIONS):
            elsewhere.update(_below(node))
        elif isinstance(node, cst.AsName) and isinstance(node.name, cst.Name):
            elsewhere.add(node.name)
    nodes = [
        node
        for node in ranges
        if isinstance(node, KINDS) and node not in elsewhere and node not in in_strings
    ]
    found = locate(wrapper.module, ast.parse(source), lines, nodes)
    assert list(found) == nodes
    return [
        f"{ranges[node].start.line}: {type(node).__name__} {ranges[node].start} {found[node]}"
        for node in nodes
        if (ranges[node].start.line, ranges[node].start.column) != found[node]
    ]


def _below(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    for child in node.children:
        yield child
        yield from _below(child)


_STDLIB = Path(sysconfig.get_path("stdlib"))
_PACKAGES = ["multiprocessing", "concurrent", "asyncio", "json"]


@pytest.mark.parametrize(
    "path",
    [path for name in _PACKAGES for path in sorted((_STDLIB / name).rglob("*.py"))]
    + [_STDLIB / "dataclasses.py", _STDLIB / "typing.py", _STDLIB / "test" / "test_grammar.py"],
    ids=lambda path: path.relative_to(_STDLIB).as_posix(),
)
def test_standard_library(path: Path) -> None:
    if not path.exists():
        pytest.skip("not installed")
    with tokenize.open(path) as file:
        source = file.read()
    try:
        cst.parse_module(source)
    except cst.ParserSyntaxError:
        pytest.skip("LibCST can't parse it")
    assert differences(source) == []


EXPRESSIONS = """\
@deco(1)
@a.b[0]
async def f(a, /, b: int = c(2), *args: d, e=lambda x, y=1: x + y, **kw) -> g[int]:
    global h, i
    await j(k for k in l)
    async for m in n():
        yield o
    else:
        del p, q[0]
    async with r() as s, (t()):
        pass
    return (yield)

class A(B, *D, metaclass=C(1), **E):
    x: List[int] = [*y, -1, not z]
    x, *y = z = 1, 2
    def m(self): return self.a.b().c(self)[0](1)(2)

if a and b and (c and d) and (e or f or g) and not (h and i) or j: k()
elif (a.b)((c)): pass
else:
    x = a if b else c if d else e
    assert a < b <= c, "x" % d
try: a()
except B as b: raise C(d) from e.f
except (F, G): ...
else: h()
finally:
    i(); j(); k(l, *m, n=o, **p)
while (x := f(y)) is not None: x += y @ z ** -w; break
for a, (b, *c) in d, e: continue
print({**a, b: c, **{d: e for f, g in h if i if j for k in l}}, {m for n in o}, {p, q})
x[1:2, ::3, ...] = [a[b:c], a[(d, e)], a[f, g], a[(h)], a[i,]]
with (a), b as c, (d): pass
match a.b(c):
    case D(e, f=g) | [h, *i] | {"j": k, **l} if m(n): o(p)
    case q.r: s()
t = "u" 'v' f"w"; u = f(a)(b) if (c) else ((d.e)).f
(((((a))))).b = ((lambda: ((c))))
nonascii = "é", é(ü(x), "ö"), x.ü.y(z)
x = f(a
      .b(c)
      .d, *e
      , g=h)
"""


def test_all_kinds_of_expressions() -> None:
    assert differences(EXPRESSIONS) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
def test_new_in_3_11() -> None:
    source = "try: a()\nexcept* B as b: c(d)\ndef f(*args: *T): g(h)\na[*b, c] = d[*e]\n"
    assert differences(source) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12")
def test_new_in_3_12() -> None:
    source = "type A[T] = b[T]\ndef f[T: (int, str)](x: T): g(x)\nclass C[*Ts](D, e=f): h()\n"
    assert differences(source) == []
    source = 'x = f"{a(b)} {c!r:{d.e(f)}} {g["h"]}" f"{i(j)}"\n'
    calls = places(source, lambda module: m.findall(module, m.Call()))
    assert calls == [(1, source.index(call)) for call in ("a(b)", "d.e(f)", "i(j)")]


def test_in_strings_of_older_interpreters() -> None:
    source = "x = 1; y = a(f'b{c(d)}', 'e' f'{g}')\n"
    first, second = places(source, lambda module: m.findall(module, m.Call()))
    assert first == (1, 11)
    assert second == ((1, 17) if sys.version_info >= (3, 12) else (1, 13))


def test_a_finding_in_an_f_string() -> None:
    source = """\
from multiprocessing import Value

if __name__ == "__main__":
    hits = Value("i", 0)
    print(f"{1} hit, then {hits}")
"""
    column = 28 if sys.version_info >= (3, 12) else 11
    assert lint(source) == [(5, column, "MPP312")]


def test_names_that_are_nodes_to_libcst_alone() -> None:
    source = """\
        async  def  work(a, *, b=1): pass
        class Ü(metaclass=B): pass
        pool . apply_async (ü, args = (1,))
        (x
            .y)
        """
    source = textwrap.dedent(source)
    module = cst.parse_module(source)
    nodes = m.findall(module, m.Name())
    found = locate(module, ast.parse(source), io.StringIO(source).readlines(), nodes)
    assert {node.value: found[node] for node in nodes if isinstance(node, cst.Name)} == {
        "work": (1, 12),
        "a": (1, 17),
        "b": (1, 23),
        "Ü": (2, 6),
        "metaclass": (2, 8),
        "B": (2, 18),
        "pool": (3, 0),
        "apply_async": (3, 7),
        "ü": (3, 20),
        "args": (3, 23),
        "x": (4, 1),
        "y": (5, 5),
    }


@pytest.mark.parametrize(
    ("source", "matcher", "place"),
    [
        # A tuple's own brackets count, other parentheses do not.
        ("f((1, 2))", m.Tuple(), (1, 2)),
        ("f(((1, 2)))", m.Tuple(), (1, 3)),
        ("x = 1, 2", m.Tuple(), (1, 4)),
        ("f((x))", m.Name("x"), (1, 3)),
        ("f((lambda: 0))", m.Lambda(), (1, 3)),
        ("f(x for x in y)", m.GeneratorExp(), (1, 1)),
        ("f((x for x in y), 1)", m.GeneratorExp(), (1, 2)),
        # What a node is made of stands where its first expression stands.
        ("f(a, (b))", m.Arg(m.Name("b")), (1, 6)),
        ("f(a, b=c)", m.Arg(keyword=m.Name("b")), (1, 5)),
        ("f(a, *b)", m.Arg(star="*"), (1, 5)),
        ("f(a, **b)", m.Arg(star="**"), (1, 5)),
        ("with a, b() as c: pass", m.WithItem(m.Call()), (1, 8)),
        ("@a\ndef f(): pass", m.Decorator(), (1, 1)),
        ("@a\ndef f(): pass", m.FunctionDef(), (2, 0)),
        ("@a\nclass A: pass", m.ClassDef(), (2, 0)),
        ("def f(a, *b): pass", m.Param(m.Name("b")), (1, 10)),
        ("x = {a: b}", m.DictElement(), (1, 5)),
        # Strings that are joined are one.
        ("x = 1, 'a' 'b' 'c'", m.SimpleString("'b'"), (1, 7)),
        # Statements.
        ("if a:\n  pass\nelif b:\n  pass", m.If(m.Name("b")), (3, 0)),
        ("def f():\n    global x, y", m.Global(), (2, 4)),
        ("a; raise B", m.Raise(), (1, 3)),
        ("a; b", m.SimpleStatementLine(), (1, 0)),
        ("try: a\nexcept B: c", m.ExceptHandler(), (2, 0)),
        # What is no expression stands where its statement stands.
        ("x = 1\nimport a.b as c", m.Name("c"), (2, 0)),
        ("x = 1\nfrom a import b", m.Name("b"), (2, 0)),
        ("x = 1\nglobal y", m.NameItem(), (2, 0)),
        ("match a:\n    case B(c=d): pass", m.Name("d"), (2, 9)),
        ("x = 1\nwhile a:\n    b", m.IndentedBlock(), (2, 0)),
        ("if a: b\nelse: c", m.Else(), (1, 0)),
        ("x = 1", m.Module(), (1, 0)),
    ],
)
def test_special_cases(source: str, matcher: m.BaseMatcherNode, place: Place) -> None:
    assert one(source, matcher) == place


@pytest.mark.parametrize(
    "source",
    [
        "x = 'é' + f(g)\n",
        "\ufeffx = '\N{SNOWMAN}' + f(g)\n",
        "x = '''\n''' + f(g)\r\n",
        "\x0cx = 'a' + f(g)\n",
        "y = 1\rx = 'a' + f(g)\r",
        "y = 1\n\x0c\nx = 'a' + f(g)",
        "x = 'a' \\\n  + f(g)\n",
        "if 1:\n\tx = 'a' + f(g)\n",
    ],
)
def test_columns_count_characters(source: str) -> None:
    tree = ast.parse(source.removeprefix("\ufeff"))
    module = cst.parse_module(source.removeprefix("\ufeff"))
    [call] = m.findall(module, m.Call())
    lines = io.StringIO(source).readlines()
    line, column = locate(module, tree, lines, [call])[call]
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert text.split("\n")[line - 1][column:].startswith("f(g)")


def test_trees_that_do_not_agree() -> None:
    """Never an exception: the statement's place, or the beginning of the file."""
    module = cst.parse_module("a = 1\nb(c)\nif d: e(f)\n")
    nodes = m.findall(module, m.Call())
    for other in [
        "a = 1\nb.c\nif d: e(f) + g()\n",
        "a = 1\nb\nif d:\n    e\n    f\n",
        "",
        "a\nb\nc\n",
    ]:
        found = locate(module, ast.parse(other), other.splitlines(keepends=True), nodes)
        lines = {1, 2, 3}
        assert len(found) == 2
        assert all(line in lines for line, _ in found.values())


def test_deep_and_wide_trees() -> None:
    deep = "x = " + " and ".join(["f()"] * 1_500) + "\n"
    wide = "y = [" + "f(), " * 10_000 + "]\n"
    source = deep + wide
    module = cst.parse_module(source)
    nodes = []
    todo: list[cst.CSTNode] = [module]
    while todo:
        node = todo.pop()
        todo.extend(node.children)
        nodes += [node] if isinstance(node, cst.Call) else []
    found = locate(module, ast.parse(source), io.StringIO(source).readlines(), nodes)
    expected = [(1, 4 + 8 * n) for n in range(1_500)] + [(2, 5 + 5 * n) for n in range(10_000)]
    assert sorted(found.values()) == expected
