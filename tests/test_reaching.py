"""What reaches the reads of a name: found read by read, or for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from fixture_header import source_of

from flake8_mppitfalls.syntax.dataflow import DataFlow
from flake8_mppitfalls.syntax.layout import lay_out
from flake8_mppitfalls.syntax.scopes import Binding, Bound, Scope
from flake8_mppitfalls.syntax.tree import Tree

OURS = sorted(Path(__file__).parents[1].joinpath("src").rglob("*.py"))
ODD = """
def run(x, flag):
    print(x)
    if flag and (x := flag):
        print(x, (x := 2), x)
    for x in x:
        if x:
            continue
        del x
        break
    else:
        x = x + 1
    while x:
        try:
            x = x.next
        except ValueError as x:
            raise
        except TypeError:
            with x as x:
                print(x)
                return x
        finally:
            print(x)
    match x:
        case [x, *_]:
            print(x)
        case _:
            x = [x for x in x]
    return lambda: x
    print(x)
    x = 1
    print(x)
"""


def rebound(tree: Tree, scope: Scope) -> Iterator[list[Binding]]:
    """The names that the statements of a scope bind more than once."""
    for bindings in scope.bindings.values():
        own = [
            b for b in bindings if b.kind is Bound.PARAMETER or tree.function_of(b.node) is scope
        ]
        if len(own) > 1:
            yield own


def compare(source: str) -> int:
    """How many reads were asked about; each has to get the same answer both ways."""
    tree = Tree(cst.parse_module(source))
    asked = 0
    for scope in [tree.module_scope, *tree.scopes.values()]:
        flow = lay_out(tree, scope)
        for bindings in rebound(tree, scope):
            loads = [n for n in tree.loads_of(bindings[0]) if tree.function_of(n) is scope]
            found = DataFlow(flow).reaching(loads, bindings, len(bindings))
            for load in loads:
                assert found[load] == flow.reaching(load, bindings)
                asked += 1
    return asked


def test_odd_flow() -> None:
    assert compare(ODD) > 15


def test_own_code() -> None:
    assert sum(compare(source_of(path)) for path in OURS) > 500


def test_too_many_reach() -> None:
    tree = Tree(
        cst.parse_module("if a:\n    x = 1\nelif b:\n    x = 2\nelse:\n    x = 3\nprint(x)\n")
    )
    bindings = tree.module_scope.bindings["x"]
    loads = tree.loads_of(bindings[0])
    flow = DataFlow(lay_out(tree, tree.module_scope))
    assert flow.reaching(loads, bindings[:2], 1) == {loads[0]: bindings[:2]}
    assert flow.reaching(loads, bindings, 2) == {loads[0]: bindings}
