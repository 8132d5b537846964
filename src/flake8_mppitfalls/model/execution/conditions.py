"""Conditions: does a place in the code run when this or that is the case?

A *world* says what a few expressions are: ``__name__`` in a spawned child, ``sys.platform`` on
Windows. ``Conditions.runs(node, world)`` asks the ``if``, ``match``, ``and`` and early exits
around a node whether it can be reached in that world.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.values import Computed, Constant, External, Function, Result
from flake8_mppitfalls.syntax.flow import constant_truth
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

World: TypeAlias = Mapping[str, object]

PROGRAM: World = {"__name__": "__main__"}
"""The file is run as a script."""
CHILD: World = {
    "__name__": "__mp_main__",
    "multiprocessing.current_process().name": "SpawnProcess-1",
    "multiprocessing.process.current_process().name": "SpawnProcess-1",
    "multiprocessing.parent_process()": "the parent",
    "multiprocessing.get_start_method()": "spawn",
}
"""A spawned child imports the file: ``spawn._fixup_main_from_path`` names it ``__mp_main__``."""
NOT_FROZEN: World = {"sys.frozen": False, "sys._MEIPASS": "", "__compiled__": False}
"""The program is run by an interpreter, not frozen into an executable."""
FROZEN: World = {"sys.frozen": True, "sys._MEIPASS": "a folder", "__compiled__": True}
AT_RUN_TIME: World = {"typing.TYPE_CHECKING": False, "TYPE_CHECKING": False}
PLATFORMS: dict[str, World] = {
    "win32": {"sys.platform": "win32", "os.name": "nt", "platform.system()": "Windows"},
    "linux": {"sys.platform": "linux", "os.name": "posix", "platform.system()": "Linux"},
    "darwin": {"sys.platform": "darwin", "os.name": "posix", "platform.system()": "Darwin"},
}
WINDOWS = PLATFORMS["win32"]

_UNDECIDED = object()


def parameter_key(name: str) -> str:
    """The key under which a world says what a parameter of the function in question is."""
    return f"parameter {name}"


_NAMESPACES = frozenset({"globals", "vars", "dir", "locals"})
MOST_AROUND = 100
"""So many tests around a place are asked for, from the inside out."""
MOST_EARLIER = 20
"""So many of the earlier statements that may leave a block are asked for their tests."""
_WANTING = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
"""In a test: what follows has to fail (``pytest.raises()``, ``TestCase.assertRaises()``)."""
_LEAVING = {"sys.exit", "exit", "quit", "os._exit", "os.abort"}


class Conditions:
    """Answers about the conditions under which the code of one module runs."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._truths: dict[tuple[cst.CSTNode, int], tuple[bool | None, World]] = {}
        self._blocks: dict[tuple[cst.CSTNode, int, bool], tuple[bool | None, World]] = {}
        self._leaving: dict[tuple[cst.CSTNode, int], tuple[int, World]] = {}
        self._places: dict[cst.CSTNode, dict[cst.CSTNode, int]] = {}
        self._early: dict[cst.CSTNode, list[tuple[int, cst.BaseExpression, bool]]] = {}

    def is_guarded(self, node: cst.CSTNode) -> bool:
        """True if ``node`` runs in the main program only: not when a child imports the file."""
        return self.runs(node, CHILD) is False and self.runs(node, PROGRAM) is not False

    def is_certain_in_child(self, node: cst.CSTNode) -> bool:
        """True if a child that imports the file comes to ``node`` by its tests, a program not."""
        if self.runs(node, PROGRAM) is not False:
            return False
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
                if self.truth(parent.test, CHILD) is not (child is parent.body):
                    return False
            child = parent
        return self.runs(node, CHILD) is not False

    def is_exit(self, call: cst.Call) -> bool:
        """True for ``sys.exit()`` and what ends the process like it."""
        return self._tree.qualified(call.func) in _LEAVING

    def is_under_guard(self, node: cst.CSTNode) -> bool:
        """As :meth:`is_guarded`, for the block of a guard only: not what an earlier exit spares."""
        child = self.runs(node, CHILD, exits=False)
        return child is False and self.runs(node, PROGRAM, exits=False) is not False

    def is_guard(self, test: cst.CSTNode) -> bool:
        """True if a test holds in the main program only (``__name__ == "__main__"``)."""
        return self.truth(test, CHILD) is False and self.truth(test, PROGRAM) is not False

    def is_frozen_only(self, node: cst.CSTNode) -> bool:
        """True if ``node`` runs in a frozen program only: ``if getattr(sys, "frozen", False):``."""
        return self.runs(node, NOT_FROZEN) is False and self.runs(node, FROZEN) is not False

    def depends_on_platform(self, node: cst.CSTNode, *, exits: bool = True) -> bool:
        """True if ``node`` runs on some platforms only."""
        return any(self.runs(node, world, exits=exits) is False for world in PLATFORMS.values())

    def runs(self, node: cst.CSTNode, world: World, *, exits: bool = True) -> bool | None:
        """``False`` if ``node`` can't be reached in its function in ``world``, else ``None``.

        ``exits``: an earlier statement that leaves the block counts.
        """
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) is cst.Module or type(parent) is cst.IndentedBlock:
                if exits and self._left_before(parent, child, world):
                    return False
                return self._block_runs(parent, world, exits)
            if type(parent) in _BARRING:
                if self._bars(parent, child, world):
                    return False
            elif type(parent) is cst.FunctionDef or type(parent) is cst.Lambda:
                if child is parent.body:
                    return None
            child = parent
        return None

    def _block_runs(
        self, block: cst.Module | cst.IndentedBlock, world: World, exits: bool
    ) -> bool | None:
        """As :meth:`runs`, for a block: many nodes are in the same one."""
        key = (block, id(world), exits)
        known = self._blocks.get(key)
        if known is None:
            known = self._blocks[key] = (self.runs(block, world, exits=exits), world)
        return known[0]

    def _bars(self, parent: cst.CSTNode, child: cst.CSTNode, world: World) -> bool:
        if isinstance(parent, (cst.If, cst.IfExp)):
            if child is parent.body:
                return self.truth(parent.test, world) is False
            if child is parent.orelse:
                return self.truth(parent.test, world) is True
        elif isinstance(parent, cst.While):
            return child is parent.body and self.truth(parent.test, world) is False
        elif isinstance(parent, cst.BooleanOperation):
            if child is parent.right:
                wanted = not isinstance(parent.operator, cst.And)
                return self.truth(parent.left, world) is wanted
        elif isinstance(parent, cst.MatchCase):
            return child is parent.body and self._case_bars(parent, world)
        return False

    def _left_before(
        self, block: cst.Module | cst.IndentedBlock, child: cst.CSTNode, world: World
    ) -> bool:
        """Does an earlier statement of the block leave it in ``world`` (``if …: return``)?"""
        key = (block, id(world))
        known = self._leaving.get(key)
        if known is None:
            known = self._leaving[key] = (self._first_leaving(block, world), world)
        return known[0] < self._positions(block).get(child, 0)

    def _positions(self, block: cst.Module | cst.IndentedBlock) -> dict[cst.CSTNode, int]:
        """Where in a block its statements stand."""
        known = self._places.get(block)
        if known is None:
            known = self._places[block] = {child: i for i, child in enumerate(block.body)}
        return known

    def _first_leaving(self, block: cst.Module | cst.IndentedBlock, world: World) -> int:
        """The place of the first ``if`` or ``assert`` in a block that leaves it in ``world``."""
        for place, statement in enumerate(block.body):
            if any(self.truth(test, world) is False for test in _asserted(statement)):
                return place
            branch: cst.CSTNode | None = statement
            while isinstance(branch, cst.If):
                truth = self.truth(branch.test, world)
                if truth is True:
                    if self._leaves(branch.body):
                        return place
                    break
                if truth is None:
                    break
                branch = branch.orelse
            else:
                if isinstance(branch, cst.Else) and self._leaves(branch.body):
                    return place
        return len(block.body)

    def _guarding(
        self, block: cst.Module | cst.IndentedBlock
    ) -> list[tuple[int, cst.BaseExpression, bool]]:
        """The tests of a block by which it is left early: their places, and how they go on."""
        known = self._early.get(block)
        if known is None:
            known = self._early[block] = []
            for place, statement in enumerate(block.body):
                if isinstance(statement, cst.If) and self._leaves(statement.body):
                    known.append((place, statement.test, False))
                known += [(place, test, True) for test in _asserted(statement)]
        return known

    def holding(self, node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, bool]]:
        """The tests of its function that have come out so where ``node`` is reached.

        Those around it, and those whose block leaves earlier: after ``if not n: return`` the test
        was false, after ``assert n`` it was true. Of very many around it only the nearest count.
        """
        around = 0
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) not in _SAYING:
                child = parent
                continue
            if isinstance(parent, (cst.If, cst.IfExp, cst.While)):
                around += 1
                if around > MOST_AROUND:
                    return
                if child is parent.body:
                    yield parent.test, True
                elif child is parent.orelse and not isinstance(parent, cst.While):
                    yield parent.test, False
            elif isinstance(parent, cst.BooleanOperation) and child is parent.right:
                yield parent.left, isinstance(parent.operator, cst.And)
            elif isinstance(parent, (cst.Module, cst.IndentedBlock)):
                place = self._positions(parent).get(child, 0)
                tests = self._guarding(parent)
                before = bisect.bisect_left(tests, place, key=lambda entry: entry[0])
                for _, test, truth in tests[max(0, before - MOST_EARLIER) : before]:
                    yield test, truth
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)) and child is parent.body:
                return
            child = parent

    def leaves(self, suite: cst.BaseSuite) -> bool:
        """True if a block always ends by leaving: ``return``, ``raise``, ``sys.exit()`` …"""
        return self._leaves(suite)

    def is_to_fail(self, node: cst.CSTNode) -> bool:
        """True in the block of a test that wants an error: the program goes as it should."""
        within = self._tree.ancestors(node)
        return any(isinstance(p, cst.With) and self._enters(p, _WANTING) for p in within)

    def never_runs(self, node: cst.CSTNode) -> bool:
        """True for what nothing leads to: the block of an ``if False:``, a line after a return."""
        current: cst.CSTNode | None = node
        while current is not None:
            function = self._tree.function_of(current)
            if not self._evaluator.names.data_flow(function).is_reachable(current):
                return True
            current = function.node if function.parent is not None else None
        return False

    def expects(self, node: cst.CSTNode, error: str) -> bool:
        """True if the code around ``node`` catches just this error: it is asked for, or tested."""
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.Try, cst.TryStar)) and child is parent.body:
                for handler in parent.handlers:
                    if error in self._caught(handler.type):
                        return True
            elif isinstance(parent, cst.With):
                if self._enters(parent, _WANTING | {"suppress"}):
                    return True
            elif isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            child = parent
        return False

    def _enters(self, block: cst.With, names: frozenset[str]) -> bool:
        """Does a ``with`` statement call something of one of these names?"""
        calls = map(self._tree.entered, block.items)
        return any(
            isinstance(call, cst.Call) and dotted_name(call.func).rpartition(".")[2] in names
            for call in calls
        )

    @staticmethod
    def _caught(types: cst.BaseExpression | None) -> set[str]:
        if isinstance(types, cst.Tuple):
            return {dotted_name(element.value) for element in types.elements}
        return {dotted_name(types)}

    def _leaves(self, suite: cst.BaseSuite) -> bool:
        """Does a block always end by leaving: ``return``, ``raise``, ``sys.exit()`` …?"""
        if not suite.body:
            return False
        last: cst.CSTNode = suite.body[-1]
        if isinstance(last, cst.SimpleStatementLine):
            last = last.body[-1]
        if isinstance(last, (cst.Return, cst.Raise, cst.Break, cst.Continue)):
            return True
        if isinstance(last, cst.If):
            return (
                isinstance(last.orelse, cst.Else)
                and self._leaves(last.body)
                and self._leaves(last.orelse.body)
            )
        return (
            isinstance(last, cst.Expr)
            and isinstance(last.value, cst.Call)
            and self._tree.qualified(last.value.func) in _LEAVING
        )

    def _case_bars(self, case: cst.MatchCase, world: World) -> bool:
        match = self._tree.parent(case)
        if not isinstance(match, cst.Match):
            return False
        subject = self._constant(match.subject, world)
        if subject is _UNDECIDED:
            return False
        for other in match.cases:
            matches = _pattern_matches(other.pattern, subject)
            if other is case:
                return matches is False
            if matches is True and other.guard is None:
                return True
        return False

    # -- truth ---------------------------------------------------------------------------------

    def truth(self, test: cst.CSTNode, world: World, depth: int = 0) -> bool | None:
        """The truth of a test in ``world``, or ``None`` where the world does not decide it."""
        if depth > 20:
            return None
        key = (test, id(world))
        if key not in self._truths:
            truth = self._truth_of(test, world, depth)
            if depth:
                return truth
            self._truths[key] = (truth, world)  # the world is kept, so that its id is its own
        return self._truths[key][0]

    def _truth_of(self, test: cst.CSTNode, world: World, depth: int) -> bool | None:
        known = constant_truth(test)
        if known is not None:
            return known
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            inner = self.truth(test.expression, world, depth + 1)
            return None if inner is None else not inner
        if isinstance(test, cst.BooleanOperation):
            return self._boolean(test, world, depth)
        if isinstance(test, cst.Comparison):
            return self._comparison(test, world)
        if isinstance(test, cst.NamedExpr):
            return self.truth(test.value, world, depth + 1)
        if isinstance(test, cst.Call):
            known = self._call(test, world, depth)
            if known is not None:
                return known
        value = self._constant(test, world)
        if value is not _UNDECIDED:
            return bool(value)
        if isinstance(test, (cst.Name, cst.Attribute, cst.Call)):
            values = self._evaluator.values(test)
            only = values[0] if len(values) == 1 else None
            if isinstance(only, (Computed, Result)) and only.site is not test:
                return self.truth(only.site, world, depth + 1)
            if isinstance(only, External) and only.name in world:
                return bool(world[only.name])
            origin = self._origin(test)
            if origin is not None:
                return self.truth(origin, world, depth + 1)
        return None

    def _origin(self, test: cst.Name | cst.Attribute | cst.Call) -> cst.BaseExpression | None:
        """The one ``and`` or ``or`` that a name is bound to or a function of the module returns."""
        origin: cst.BaseExpression | None = None
        if isinstance(test, cst.Name):
            bindings = self._evaluator.names.bindings(test)
            if len(bindings) == 1 and bindings[0].kind is Bound.ASSIGN and not bindings[0].path:
                origin = bindings[0].value
        elif isinstance(test, cst.Call):
            called = self._evaluator.values(test.func)
            if len(called) == 1 and isinstance(called[0], Function):
                returns = self._tree.scopes[called[0].node].returns
                if len(returns) == 1 and not self._evaluator.calls.is_opaque(called[0].node):
                    origin = returns[0].value
        return origin if isinstance(origin, cst.BooleanOperation) else None

    def _call(self, test: cst.Call, world: World, depth: int) -> bool | None:
        prefix = self._startswith(test, world)
        if prefix is not None:
            return prefix
        name = self._tree.qualified(test.func)
        if name == "bool" and len(test.args) == 1:
            return self.truth(test.args[0].value, world, depth + 1)
        if name in ("getattr", "hasattr") and len(test.args) > 1:
            attribute = self._evaluator.text(test.args[1].value)
            value = world.get(f"{self._tree.qualified(test.args[0].value)}.{attribute}")
            return None if value is None else bool(value)
        return None

    def _boolean(self, test: cst.BooleanOperation, world: World, depth: int) -> bool | None:
        decisive = not isinstance(test.operator, cst.And)
        left = self.truth(test.left, world, depth + 1)
        right = self.truth(test.right, world, depth + 1)
        if decisive in (left, right):
            return decisive
        return None if left is None or right is None else not decisive

    def _comparison(self, test: cst.Comparison, world: World) -> bool | None:
        if len(test.comparisons) != 1:
            return None
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        left = self._constant(test.left, world)
        if isinstance(operator, (cst.In, cst.NotIn)):
            if isinstance(other, cst.Call) and self._tree.qualified(other.func) in _NAMESPACES:
                defined = world.get(self._named(left, other))
                return None if defined is None else bool(defined) is isinstance(operator, cst.In)
            members = self._members(other, world)
            if left is _UNDECIDED or members is None:
                return None
            return (left in members) is isinstance(operator, cst.In)
        right = self._constant(other, world)
        if left is _UNDECIDED or right is _UNDECIDED:
            return None
        if isinstance(operator, (cst.Equal, cst.Is)):
            return left == right
        if isinstance(operator, (cst.NotEqual, cst.IsNot)):
            return left != right
        return None

    def _named(self, name: object, namespace: cst.Call) -> str:
        """``frozen`` in ``vars(sys)`` is ``sys.frozen``; in ``globals()`` it is the bare name."""
        of = self._tree.qualified(namespace.args[0].value) if namespace.args else ""
        return f"{of}.{name}" if of else str(name)

    def _members(self, node: cst.BaseExpression, world: World) -> list[object] | str | None:
        if isinstance(node, (cst.Tuple, cst.List, cst.Set)):
            members = [self._constant(element.value, world) for element in node.elements]
            return None if _UNDECIDED in members else members
        value = self._constant(node, world)
        return value if isinstance(value, str) else None

    def _startswith(self, test: cst.Call, world: World) -> bool | None:
        func = test.func
        if not (isinstance(func, cst.Attribute) and func.attr.value == "startswith" and test.args):
            return None
        subject = self._constant(func.value, world)
        prefix = self._members(test.args[0].value, world)
        if not isinstance(subject, str) or prefix is None:
            return None
        prefixes = (prefix,) if isinstance(prefix, str) else tuple(map(str, prefix))
        return subject.startswith(prefixes)

    def text(self, node: cst.CSTNode, world: World) -> str | None:
        """The string that an expression is in ``world``, if it decides that."""
        value = self._constant(node, world)
        return value if isinstance(value, str) else None

    def _constant(self, node: cst.CSTNode, world: World) -> object:
        """The value of an expression in ``world``, or ``_UNDECIDED``."""
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString, cst.Integer)):
            return literal(node)
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            if node.func.attr.value in {"lower", "casefold"}:
                inner = self._constant(node.func.value, world)
                if isinstance(inner, str):
                    return inner.lower()
        key = self._key(node)
        if key in world:
            return world[key]
        if isinstance(node, cst.Name) and parameter_key(node.value) in world:
            if all(b.kind is Bound.PARAMETER for b in self._evaluator.names.bindings(node)):
                return world[parameter_key(node.value)]
        if isinstance(node, (cst.Name, cst.Attribute)):
            values = self._evaluator.values(node)
            if len(values) == 1:
                only = values[0]
                if isinstance(only, Constant):
                    return only.value
                site = getattr(only, "site", None)
                if site is not None and isinstance(site, (cst.Call, cst.Attribute)):
                    return world.get(self._key(site), _UNDECIDED)
                name = getattr(only, "name", None)
                if isinstance(name, str):
                    return world.get(name, _UNDECIDED)
        return _UNDECIDED

    def _key(self, node: cst.CSTNode) -> str:
        if isinstance(node, cst.Call):
            inner = self._key(node.func)
            return f"{inner}()" if inner and not node.args else ""
        if isinstance(node, cst.Attribute):
            name = self._tree.qualified(node)
            if name:
                return name
            inner = self._key(node.value)
            return f"{inner}.{node.attr.value}" if inner else ""
        if isinstance(node, cst.NamedExpr):
            return self._key(node.value)
        if isinstance(node, cst.Name):
            return self._tree.qualified(node) or dotted_name(node) * (node.value == "__name__")
        return ""


_BARRING: frozenset[type] = frozenset(
    {cst.If, cst.IfExp, cst.While, cst.BooleanOperation, cst.MatchCase}
)
_SAYING = _BARRING | {cst.Module, cst.IndentedBlock, cst.FunctionDef, cst.Lambda}
"""What has tests that hold, or do not hold, for what is inside."""


def _asserted(statement: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """The tests of the ``assert`` statements on one line of a block."""
    if type(statement) is cst.SimpleStatementLine:
        for small in statement.body:
            if type(small) is cst.Assert:
                yield small.test


def _pattern_matches(pattern: cst.MatchPattern, subject: object) -> bool | None:
    if isinstance(pattern, cst.MatchValue):
        value = pattern.value
        if isinstance(value, (cst.SimpleString, cst.ConcatenatedString, cst.Integer)):
            return value.evaluated_value == subject
        return None
    if isinstance(pattern, cst.MatchOr):
        answers = {_pattern_matches(part.pattern, subject) for part in pattern.patterns}
        if True in answers:
            return True
        return None if None in answers else False
    if isinstance(pattern, cst.MatchAs) and pattern.pattern is None:
        return True
    return None
