"""Lending: a context manager of the module yields a pool or executor to ``with`` statements.

``with workers() as pool:``, where ``workers`` is a ``@contextmanager`` that yields the pool once,
and ends it afterwards, or does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.uses import Use, UseKind
from flake8_mppitfalls.model.lives.machine import MACHINES

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Binding

_FIXTURES = frozenset({"pytest.fixture", "pytest_asyncio.fixture"})
MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})


class Loan(NamedTuple):
    """A function that lends a thing.

    Attributes:
        items: the calls of the function, and the ``with`` items that borrow by them.
        is_ended: it has come to its end where the item is left.
        is_left: that end is the end of a ``with`` block of the thing, without a ``join()``.
    """

    items: tuple[tuple[cst.CSTNode, cst.WithItem], ...]
    is_ended: bool
    is_left: bool


def loans(program: Program, kind: api.Kind, uses: Iterable[Use]) -> list[Loan]:
    """Where one pool or executor, of which these are the uses, is lent."""
    if not MACHINES[kind].takes_tasks:
        return []
    uses = list(uses)
    found = (_loan(program, kind, use, uses) for use in uses if use.kind is UseKind.YIELDED)
    return [loan for loan in found if loan is not None]


def fixture_users(program: Program, function: cst.FunctionDef) -> Iterator[Binding]:
    """The parameters of tests, and of other fixtures, that get what a pytest fixture yields."""
    if _FIXTURES.isdisjoint(decorator_names(program.tree, function)):
        return
    yield from program.lifetimes.parameters.get(function.name.value, ())


def is_lent_to_known(program: Program, function: cst.CSTNode) -> bool:
    """Is it a context manager that nothing but ``with`` statements of this module calls?"""
    if not isinstance(function, cst.FunctionDef):
        return False
    if MANAGERS.isdisjoint(decorator_names(program.tree, function)):
        return False
    sites = program.references.calls(function)
    return 0 < len(sites) == len(program.references.of(function)) and all(
        program.tree.item_of(site.call) is not None for site in sites
    )


def _loan(program: Program, kind: api.Kind, lent: Use, uses: list[Use]) -> Loan | None:
    tree = program.tree
    scope = tree.function_of(lent.node)
    function = scope.node
    if lent.depth or not isinstance(function, cst.FunctionDef) or len(scope.yields) != 1:
        return None
    if MANAGERS.isdisjoint(decorator_names(tree, function)):
        return None
    ends: list[Use] = []
    for use in uses:
        if tree.function_of(use.node) is not scope or use.depth:
            continue
        if use.kind in (UseKind.ENTERED, UseKind.CLOSED):
            block = tree.parent(use.node)
            if not isinstance(block, cst.With) or not tree.is_within(lent.node, block.body):
                return None
            ends.append(use)
        elif use.kind is UseKind.METHOD and _effect(kind, use.name) in MACHINES[kind].effects:
            if not tree.before(lent.node, use.node):
                return None
            ends.append(use)
    calls = [site.call for site in program.references.calls(function)]
    items = ((call, tree.item_of(call)) for call in calls)
    return Loan(
        tuple((call, item) for call, item in items if item is not None),
        bool(ends),
        any(use.kind is UseKind.ENTERED for use in ends)
        and not any(use.kind is UseKind.METHOD for use in ends),
    )


def _effect(kind: api.Kind, name: str) -> str:
    method = api.METHODS[kind].get(name)
    return method.effect if method is not None else ""
