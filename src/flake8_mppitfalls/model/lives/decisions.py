"""Decisions: tests that come out the same way twice.

``if parallel: pool = Pool()`` and later ``if parallel: pool.close()`` belong together. The tests
under which something happens to a thing are remembered along each path, until what they speak of
gets a new value; a path that would have one come out in both ways does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.flow import Point, PointKind, constant_truth
from flake8_mppitfalls.syntax.tree import Tree, dotted_name

Known: TypeAlias = "frozenset[tuple[str, bool]]"
"""Tests, by their text, and how they came out."""

MOST_TESTS = 6
"""With more deciding tests than this the paths are not told apart by them."""

MOST_DECIDING = 200
"""With more points than this at which those tests come out, nothing is said of the thing."""

_WORD = re.compile(r"\w+")


class Decisions:
    """The tests that decide about some places of one file."""

    def __init__(
        self,
        tree: Tree,
        places: Iterable[cst.CSTNode],
        changes: Callable[[cst.CSTNode], bool],
        early: Iterable[cst.BaseExpression] = (),
    ) -> None:
        """``changes`` is true for an expression that the events themselves change.

        ``early`` are simple tests that leave a function, or not, before it comes to a place.
        """
        self._tree = tree
        self._changes = changes
        self.tests: dict[str, cst.BaseExpression] = {}
        """The tests that tell paths apart, by their text."""
        for statement in self._around(places):
            self.tests.update((self.text(atom), atom) for atom in self._atoms(statement))
            if len(self.tests) > MOST_TESTS:
                self.tests.clear()
                break
        for atom in early:
            if len(self.tests) == MOST_TESTS:
                break
            self.tests.setdefault(self.text(atom), atom)
        self.texts = frozenset(self.tests)
        self._said: dict[tuple[cst.BaseExpression, bool], frozenset[tuple[str, bool]]] = {}
        self._settled: dict[cst.CSTNode, tuple[frozenset[str], Known]] = {}

    def _around(self, places: Iterable[cst.CSTNode]) -> Iterator[cst.If | cst.IfExp | cst.While]:
        """What tests something around one of the places, within its function."""
        seen: set[cst.CSTNode] = set()
        for place in places:
            for parent in self._tree.ancestors(place):
                if isinstance(parent, cst.FunctionDef) or parent in seen:
                    break
                if isinstance(parent, (cst.If, cst.IfExp, cst.While)):
                    seen.add(parent)
                    yield parent

    def _atoms(self, statement: cst.If | cst.IfExp | cst.While) -> Iterator[cst.BaseExpression]:
        """The simple tests in its test that stay as they come out."""
        for truth in (True, False):
            for atom, _ in implied(statement.test, truth):
                if isinstance(statement, cst.While) and not self._is_set_in(atom, statement):
                    continue
                if not any(self._changes(part) for part in self._tree.walk(atom)):
                    yield atom

    def _is_set_in(self, atom: cst.BaseExpression, loop: cst.While) -> bool:
        """Is it a variable that the loop itself sets? Else it may change by itself."""
        name = dotted_name(atom)
        return bool(name) and any(
            isinstance(part, cst.AssignTarget) and dotted_name(part.target) == name
            for part in self._tree.walk(loop.body)
        )

    def text(self, node: cst.BaseExpression) -> str:
        """The source of an expression."""
        return self._tree.text(node)

    def taken(self, known: Known, test: cst.BaseExpression, truth: bool) -> Known | None:
        """What is known on one side of a test; ``None`` where no path leads there."""
        if not self.texts:
            return known
        said = self._said.get((test, truth))
        if said is None:
            told = ((self.text(node), value) for node, value in implied(test, truth))
            said = frozenset((text, value) for text, value in told if text in self.texts)
            self._said[test, truth] = said
        if any((text, not value) in known for text, value in said):
            return None
        return known | said if said else known

    def assigned(self, known: Known, node: cst.Assign | cst.AnnAssign | cst.AugAssign) -> Known:
        """Forget what was known of a name that gets a new value; ``closed = True`` is known."""
        if not self.texts:
            return known
        settled = self._settled.get(node)
        if settled is None:
            settled = self._settled[node] = self._settled_by(node)
        touched, told = settled
        if not touched:
            return known
        return frozenset((text, value) for text, value in known if text not in touched) | told

    def _settled_by(
        self, node: cst.Assign | cst.AnnAssign | cst.AugAssign
    ) -> tuple[frozenset[str], Known]:
        """The tests that an assignment may change, and how those come out that it decides."""
        targets = [self.text(target) for target in targets_of(node)]
        touched = frozenset(t for t in self.texts if any(_mentions(t, x) for x in targets))
        value = None if isinstance(node, cst.AugAssign) or not touched else node.value
        truth = constant_truth(value) if value is not None else None
        if truth is None:
            return touched, frozenset()
        return touched, frozenset((t, truth) for t in targets if t in touched)


class DecidingPoints:
    """The points of one control flow at which tests come out, or what they speak of changes."""

    def __init__(self, tree: Tree, points: Iterable[Point]) -> None:
        self._tests: dict[str, list[Point]] = {}
        self._assigned: dict[str, list[tuple[str, Point]]] = {}
        for point in points:
            node = point.node
            if point.kind is PointKind.TEST and isinstance(node, cst.BaseExpression):
                for truth in (True, False):
                    for atom, _ in implied(node, truth):
                        self._tests.setdefault(tree.text(atom), []).append(point)
            elif isinstance(node, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
                for target in targets_of(node):
                    text = tree.text(target)
                    last = _WORD.findall(text)[-1:]
                    self._assigned.setdefault(last[0] if last else "", []).append((text, point))

    def of(self, tests: Iterable[str]) -> Iterator[Point]:
        """The points that matter for some tests."""
        for test in tests:
            yield from self._tests.get(test, ())
            for word in ("", *_WORD.findall(test)):
                for text, point in self._assigned.get(word, ()):
                    if _mentions(test, text):
                        yield point


def targets_of(node: cst.Assign | cst.AnnAssign | cst.AugAssign) -> list[cst.BaseExpression]:
    """What gets a new value."""
    return [t.target for t in node.targets] if isinstance(node, cst.Assign) else [node.target]


def implied(test: cst.BaseExpression, truth: bool) -> list[tuple[cst.BaseExpression, bool]]:
    """The simple tests whose outcome follows from the outcome of ``test``."""
    found: list[tuple[cst.BaseExpression, bool]] = []
    work = [(test, truth)]
    while work:
        node, value = work.pop()
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            work.append((node.expression, not value))
        elif isinstance(node, cst.BooleanOperation):
            if isinstance(node.operator, cst.And) is value:
                work += [(node.left, value), (node.right, value)]
        else:
            found.append((node, value))
    return found


def asked_for(test: cst.BaseExpression) -> cst.BaseExpression:
    """``pool`` for ``if pool:``, ``if not pool:`` and ``if pool is None:``."""
    while isinstance(test, cst.UnaryOperation):
        test = test.expression
    return test.left if isinstance(test, cst.Comparison) else test


def says_there_is_one(
    test: cst.BaseExpression, is_it: Callable[[cst.BaseExpression], bool]
) -> bool | None:
    """``True`` for ``if pool:``, ``False`` for ``if pool is None:``, else ``None``."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        inner = says_there_is_one(test.expression, is_it)
        return None if inner is None else not inner
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        operator = test.comparisons[0].operator
        other = test.comparisons[0].comparator
        if isinstance(other, cst.Name) and other.value == "None" and is_it(test.left):
            if isinstance(operator, (cst.IsNot, cst.NotEqual)):
                return True
            if isinstance(operator, (cst.Is, cst.Equal)):
                return False
        return None
    return True if is_it(test) else None


def _mentions(text: str, name: str) -> bool:
    """Does the text of a test contain a name (or attribute) as a whole?"""
    start = text.find(name) if name else -1
    while start >= 0:
        end = start + len(name)
        if not (_is_of_name(text[start - 1 : start], ".") or _is_of_name(text[end : end + 1])):
            return True
        start = text.find(name, start + 1)
    return False


def _is_of_name(letter: str, others: str = "") -> bool:
    """Does a letter (or the empty string) go on with a name that stands beside it?"""
    return letter.isalnum() or (letter != "" and letter in "_" + others)
