"""Truths: how a test comes out in a world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.worlds import parameter_key
from flake8_mppitfalls.model.values import Computed, Constant, External, Function, Result
from flake8_mppitfalls.syntax.flow import constant_truth
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.worlds import World

UNDECIDED = object()
"""What an expression is of which a world says nothing."""

_NAMESPACES = frozenset({"globals", "vars", "dir", "locals"})


class Truths:
    """Answers for the tests of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._truths: dict[tuple[cst.CSTNode, int], tuple[bool | None, World]] = {}

    def of(self, test: cst.CSTNode, world: World, depth: int = 0) -> bool | None:
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
            inner = self.of(test.expression, world, depth + 1)
            return None if inner is None else not inner
        if isinstance(test, cst.BooleanOperation):
            return self._boolean(test, world, depth)
        if isinstance(test, cst.Comparison):
            return self._comparison(test, world)
        if isinstance(test, cst.NamedExpr):
            return self.of(test.value, world, depth + 1)
        if isinstance(test, cst.Call):
            known = self._call(test, world, depth)
            if known is not None:
                return known
        value = self.constant(test, world)
        if value is not UNDECIDED:
            return bool(value)
        if isinstance(test, (cst.Name, cst.Attribute, cst.Call)):
            values = self._evaluator.values(test)
            only = values[0] if len(values) == 1 else None
            if isinstance(only, (Computed, Result)) and only.site is not test:
                return self.of(only.site, world, depth + 1)
            if isinstance(only, External) and only.name in world:
                return bool(world[only.name])
            origin = self._origin(test)
            if origin is not None:
                return self.of(origin, world, depth + 1)
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
            return self.of(test.args[0].value, world, depth + 1)
        if name in ("getattr", "hasattr") and len(test.args) > 1:
            attribute = self._evaluator.text(test.args[1].value)
            value = world.get(f"{self._tree.qualified(test.args[0].value)}.{attribute}")
            return None if value is None else bool(value)
        return None

    def _boolean(self, test: cst.BooleanOperation, world: World, depth: int) -> bool | None:
        decisive = not isinstance(test.operator, cst.And)
        left = self.of(test.left, world, depth + 1)
        right = self.of(test.right, world, depth + 1)
        if decisive in (left, right):
            return decisive
        return None if left is None or right is None else not decisive

    def _comparison(self, test: cst.Comparison, world: World) -> bool | None:
        if len(test.comparisons) != 1:
            return None
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        left = self.constant(test.left, world)
        if isinstance(operator, (cst.In, cst.NotIn)):
            if isinstance(other, cst.Call) and self._tree.qualified(other.func) in _NAMESPACES:
                defined = world.get(self._named(left, other))
                return None if defined is None else bool(defined) is isinstance(operator, cst.In)
            members = self._members(other, world)
            if left is UNDECIDED or members is None:
                return None
            return (left in members) is isinstance(operator, cst.In)
        right = self.constant(other, world)
        if left is UNDECIDED or right is UNDECIDED:
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
            members = [self.constant(element.value, world) for element in node.elements]
            return None if UNDECIDED in members else members
        value = self.constant(node, world)
        return value if isinstance(value, str) else None

    def _startswith(self, test: cst.Call, world: World) -> bool | None:
        func = test.func
        if not (isinstance(func, cst.Attribute) and func.attr.value == "startswith" and test.args):
            return None
        subject = self.constant(func.value, world)
        prefix = self._members(test.args[0].value, world)
        if not isinstance(subject, str) or prefix is None:
            return None
        prefixes = (prefix,) if isinstance(prefix, str) else tuple(map(str, prefix))
        return subject.startswith(prefixes)

    def text(self, node: cst.CSTNode, world: World) -> str | None:
        """The string that an expression is in ``world``, if it decides that."""
        value = self.constant(node, world)
        return value if isinstance(value, str) else None

    def constant(self, node: cst.CSTNode, world: World) -> object:
        """The value of an expression in ``world``, or ``UNDECIDED``."""
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString, cst.Integer)):
            return literal(node)
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            if node.func.attr.value in {"lower", "casefold"}:
                inner = self.constant(node.func.value, world)
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
                    return world.get(self._key(site), UNDECIDED)
                name = getattr(only, "name", None)
                if isinstance(name, str):
                    return world.get(name, UNDECIDED)
        return UNDECIDED

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
