"""Shared updates: where something shared between processes is read, changed and written back.

``v.value += 1`` is three steps: another process may write between the reading and the writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.values import UNKNOWN, Constant, Instance, Made
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Binding

_HOLDING_VALUES = frozenset({"Value", "RawValue"})
_HOLDING_ITEMS = frozenset({"Array", "RawArray"})
_KINDS = frozenset({api.Kind.VALUE, api.Kind.ARRAY, api.Kind.RAW, api.Kind.PROXY})
_DEEPEST = 4


class Update(NamedTuple):
    """One update.

    Attributes:
        target: what is assigned to: ``v.value``, ``d[k]``.
        shared: the object that it is part of, as the code names it.
        made: what that object may be.
        key: the index or key, for a part of an array, list or dict.
        by_property: the target is a property whose setter writes to the object.
        defaults: the old value is read with a default (``d.get(k, 0)``).
    """

    target: cst.Attribute | cst.Subscript
    shared: cst.BaseExpression
    made: tuple[Made, ...]
    key: cst.BaseExpression | None
    by_property: bool = False
    defaults: bool = False


class SharedUpdates:
    """Finds the updates of shared objects in one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def all(self) -> Iterator[Update]:
        """All updates that read what they replace, in no particular order."""
        if not _KINDS.intersection(self._program.made):
            return
        for augmented in self._tree.nodes(cst.AugAssign):
            update = self._of_target(augmented.target)
            if update is not None:
                yield update
        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                update = self._of_target(target.target)
                if update is not None:
                    read = self._read_in(assign.value, update, 0)
                    if read is not None:
                        yield update._replace(defaults=read)

    # -- targets -------------------------------------------------------------------------------

    def _of_target(self, target: cst.CSTNode) -> Update | None:
        if not isinstance(target, (cst.Attribute, cst.Subscript)):
            return None
        shared = self._unwrapped(target.value)
        index: cst.BaseExpression | None = None
        if isinstance(target, cst.Subscript):
            index = _index(target)
        elif isinstance(shared, cst.Subscript):
            index = _index(shared)
            made = self._made(shared)
            if made and all(self._fits(target, m) for m in made):
                return Update(target, shared, made, index)  # a value in a list or tuple
            # A field of one structure of an array.
            inner = self._unwrapped(shared.value)
            made = self._made(inner)
            if made and all(
                m.name in _HOLDING_ITEMS and m.kind is not api.Kind.PROXY for m in made
            ):
                return Update(target, inner, made, index)
            return None
        made = self._made(shared)
        if not made and isinstance(target, cst.Attribute):
            written = self._written_by_property(target)
            return Update(target, target.value, written, None, True) if written else None
        if not made or not all(self._fits(target, m) for m in made):
            return None
        return Update(target, shared, made, index)

    def _written_by_property(self, target: cst.Attribute) -> tuple[Made, ...]:
        """What the setter of a property writes to: ``self._total.value = total``."""
        found: dict[Made, None] = {}
        name = target.attr.value
        for value in self._program.values(target.value):
            cls = value.cls if isinstance(value, (Instance, Made)) else None
            for c in self._program.evaluator.classes.mro(cls) if cls is not None else ():
                for binding in self._tree.scopes[c].bindings.get(name, ()):
                    setter = binding.node
                    if not isinstance(setter, cst.FunctionDef):
                        continue
                    if f"{name}.setter" in decorator_names(self._tree, setter):
                        found.update(dict.fromkeys(self._written_in(setter)))
        return tuple(found)

    def _written_in(self, setter: cst.FunctionDef) -> Iterator[Made]:
        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                if isinstance(target.target, (cst.Attribute, cst.Subscript)):
                    if self._tree.function_of(assign).node is setter:
                        made = self._made(target.target.value)
                        if all(self._fits(target.target, m) for m in made):
                            yield from made

    def _unwrapped(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """``v`` for ``v.get_obj()``."""
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            if node.func.attr.value == "get_obj":
                return node.func.value
        return node

    def _made(self, node: cst.BaseExpression) -> tuple[Made, ...]:
        """The shared objects that an expression may be; none where it may be something else."""
        found = []
        for value in self._program.values(node):
            if isinstance(value, Made) and value.kind in _KINDS:
                found.append(value)
            elif not (value is UNKNOWN or (isinstance(value, Constant) and value.value is None)):
                return ()
        return tuple(found)

    def _fits(self, target: cst.Attribute | cst.Subscript, made: Made) -> bool:
        if isinstance(target, cst.Attribute):
            if made.kind is api.Kind.PROXY:
                if made.name == "Value":
                    return target.attr.value in ("value", "_value")
                return made.name == "Namespace"
            return made.name in _HOLDING_VALUES
        if made.kind is api.Kind.PROXY:
            return made.name in ("dict", "list", "Array")
        return made.name in _HOLDING_ITEMS

    # -- the old value -------------------------------------------------------------------------

    def _read_in(self, node: cst.CSTNode, update: Update, depth: int) -> bool | None:
        """Is the old value read in an expression, itself or by a name bound to it before?

        ``True`` where it is read with a default.
        """
        for part in self._tree.walk(node):
            if isinstance(part, (cst.Attribute, cst.Subscript)) and self._is_same(part, update):
                return False
            if isinstance(part, cst.Call) and self._is_get(part, update):
                return True
            if self._is_whole(part, update):
                return False
            if isinstance(part, cst.Name) and depth < _DEEPEST:
                for binding in self._local_bindings(part):
                    assert binding.value is not None
                    read = self._read_in(binding.value, update, depth + 1)
                    if read is not None:
                        return read
        return None

    def _is_whole(self, part: cst.CSTNode, update: Update) -> bool:
        """For ``arr[:] = [n + 1 for n in arr]``: the array itself, on the right."""
        if update.key is not None or not isinstance(update.target, cst.Subscript):
            return False
        return isinstance(part, (cst.Name, cst.Attribute)) and self._is_shared(part, update)

    def _local_bindings(self, name: cst.Name) -> Iterator[Binding]:
        """Where a local name got its value: ``old = v.value``, ``old = v.value; old += 1``."""
        scope = self._tree.function_of(name)
        bindings = self._program.names.bindings(name)
        if not scope.is_function or scope.owner_of(name.value) is not scope:
            return
        if any(binding.kind is Bound.AUGMENTED for binding in bindings):
            bindings = scope.bindings[name.value]
        for binding in bindings:
            if binding.kind is Bound.ASSIGN and not binding.path and binding.value is not None:
                yield binding

    def _is_same(self, part: cst.Attribute | cst.Subscript, update: Update) -> bool:
        """Is ``part`` what the update assigns to?"""
        target = update.target
        if type(part) is not type(target):
            return False
        if isinstance(part, cst.Attribute) and isinstance(target, cst.Attribute):
            if part.attr.value != target.attr.value:
                return False
        elif isinstance(part, cst.Subscript):
            index = _index(part)
            if index is None or update.key is None or not index.deep_equals(update.key):
                return False
        return self._is_shared(self._unwrapped(part.value), update)

    def _is_get(self, call: cst.Call, update: Update) -> bool:
        """``d.get(k, 0)`` for the update ``d[k] = …``."""
        func = call.func
        return (
            isinstance(func, cst.Attribute)
            and func.attr.value in ("get", "setdefault", "pop")
            and update.key is not None
            and bool(call.args)
            and call.args[0].value.deep_equals(update.key)
            and self._is_shared(func.value, update)
        )

    def _is_shared(self, node: cst.BaseExpression, update: Update) -> bool:
        if node.deep_equals(update.shared):
            return True
        return bool(set(self._made(node)) & set(update.made))


def _index(node: cst.Subscript) -> cst.BaseExpression | None:
    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return None
    return node.slice[0].slice.value
