"""Where a function of the module is used: called, handed over, bound to another name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import FEW, decorator_names
from flake8_mppitfalls.model.evaluation.holdings import Holdings
from flake8_mppitfalls.model.evaluation.signatures import argument, positional_names
from flake8_mppitfalls.model.evaluation.tasks import Given, Task
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Function,
    Result,
    class_of,
)
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.tasks import Tasks
    from flake8_mppitfalls.syntax.tree import Tree

MOST_ALIASES = 200


_APPLYING = frozenset({"map", "filter"})
"""Functions that call what they are given for each element of the iterables behind it."""
_GIVEN = (("args", api.Spread.TUPLE), ("kwargs", api.Spread.MAPPING))
_THREADS = {
    **dict.fromkeys(
        ("threading.Thread", "multiprocessing.dummy.Process"),
        (api.MAKERS["Thread"].parameters, api.TaskShape("target", _GIVEN, False, "thread")),
    ),
    "threading.Timer": (
        ("interval", "function", "args", "kwargs"),
        api.TaskShape("function", _GIVEN, False, "thread"),
    ),
}
"""What runs a function of this module in a thread, with which arguments."""


class Reference(NamedTuple):
    """One use of a function: ``skip`` leading parameters are bound already (``self``)."""

    node: cst.CSTNode
    skip: int


class CallSite(NamedTuple):
    """A call of a function of this module, with ``skip`` leading parameters bound already."""

    call: cst.Call
    skip: int


class References:
    """Finds the uses of the functions of one module."""

    def __init__(self, evaluator: Evaluator, tasks: Tasks) -> None:
        self._evaluator = evaluator
        self._tree: Tree = evaluator.tree
        self._tasks = tasks
        self._holdings = Holdings(evaluator)
        self._known: dict[cst.CSTNode, list[Reference]] = {}
        self._entered: dict[cst.FunctionDef, list[cst.WithItem]] | None = None
        self._by_owner: dict[str, dict[cst.CSTNode, list[tuple[int, cst.Attribute]]]] = {}

    def of(self, function: cst.CSTNode) -> list[Reference]:
        """The expressions that stand for a ``def`` or lambda, other names for it followed."""
        known = self._known.get(function)
        if known is None:
            self._known[function] = []  # asked again while receivers are evaluated
            direct = list(self._direct(function))
            known = self._known[function] = self._with_aliases(direct)
        return known

    def calls(self, function: cst.CSTNode) -> list[CallSite]:
        """The calls of a function (of ``__init__``: the calls of its class)."""
        found = []
        for reference in self.of(function):
            parent = self._tree.parent(reference.node)
            if isinstance(parent, cst.Call) and parent.func is reference.node:
                found.append(CallSite(parent, reference.skip))
        return found

    def entered_by(self, method: cst.FunctionDef) -> list[cst.WithItem]:
        """The ``with`` items of this module that call an ``__enter__()``."""
        if self._entered is None:
            self._entered = {}
            for item in self._tree.nodes(cst.WithItem):
                classes = {class_of(value) for value in self._evaluator.values(item.item)}
                for cls in classes - {None}:
                    assert cls is not None
                    enter = self._evaluator.classes.method(cls, "__enter__")
                    if enter is not None:
                        self._entered.setdefault(enter, []).append(item)
        return self._entered.get(method, [])

    def is_given_away(self, function: cst.CSTNode) -> bool:
        """Is a function used other than by a call: as a callback, a thread's target, in a table?"""
        for reference in self.of(function):
            parent = self._tree.parent(reference.node)
            if not (isinstance(parent, cst.Call) and parent.func is reference.node):
                if not isinstance(parent, (cst.Assign, cst.Attribute)):
                    return True
        return False

    def arguments_for(self, function: cst.CSTNode, param: cst.Param) -> Iterator[Given]:
        """What the calls and worker API calls of this module give for a parameter."""
        for reference in self.wherever(function):
            yield from self.given_by(reference, function, param)

    def wherever(self, function: cst.CSTNode) -> list[Reference]:
        """As :meth:`of`, and where a container that holds the function gives it out again.

        There it may be another of what the container holds.
        """
        found = {reference.node: reference for reference in self.of(function)}
        for reference in list(found.values()):
            for node in self._holdings.of(reference.node):
                found.setdefault(node, Reference(node, reference.skip))
        return list(found.values())

    def given_by(
        self, reference: Reference, function: cst.CSTNode, param: cst.Param
    ) -> Iterator[Given]:
        """What one use of a function gives for a parameter; nothing where it leaves it out."""
        assert isinstance(function, (cst.FunctionDef, cst.Lambda))
        names = positional_names(function.params)
        name = param.name.value
        position = names.index(name) if name in names else -1
        yield from self._given_by(reference.node, position, name, reference.skip)

    def _given_by(self, node: cst.CSTNode, position: int, name: str, skip: int) -> Iterator[Given]:
        parent = self._tree.parent(node)
        if isinstance(parent, cst.Call):
            yield from _from_call(parent.args, position - skip, name)
            return
        call = self._tree.parent(parent) if isinstance(parent, cst.Arg) else None
        if not isinstance(call, cst.Call):
            return
        task = self._tasks.of(call) or self._thread_at(call)
        if task is not None and task.callable is node:
            yield from task.given_for(position - skip, name)
        elif self._tree.qualified(call.func) == "functools.partial" and parent is call.args[0]:
            given = list(_from_call(call.args[1:], position - skip, name))
            yield from given
            if not given:
                filled = sum(1 for a in call.args[1:] if a.keyword is None and not a.star)
                for use in self._with_aliases([Reference(call, 0)]):
                    yield from self._given_by(use.node, position - skip - filled, name, 0)
        elif self._tree.qualified(call.func) in _APPLYING and parent is call.args[0]:
            iterables = [arg.value for arg in call.args[1:] if not arg.star]
            if 0 <= position - skip < len(iterables) == len(call.args) - 1:
                yield Given(iterables[position - skip], (None,))

    def _thread_at(self, call: cst.Call) -> Task | None:
        """``Thread(target=f, args=…)`` hands over a function and its arguments, too."""
        name = self._tree.qualified(call.func)
        if name not in _THREADS:
            return None
        parameters, shape = _THREADS[name]
        given = argument(call, parameters, shape.callable)
        return Task(call, name, shape, parameters, (), given, None)

    def _direct(self, function: cst.CSTNode) -> Iterator[Reference]:
        if not isinstance(function, cst.FunctionDef):
            yield Reference(function, 0)
            return
        scope = self._tree.scope_of(function)
        if scope.kind is not ScopeKind.CLASS:
            for binding in scope.target_of(function.name.value).bindings.get(
                function.name.value, ()
            ):
                if binding.node is function:
                    for load in self._evaluator.names.reads_of(binding):
                        yield Reference(load, 0)
            return
        yield from self._of_method(function)

    def _of_method(self, function: cst.FunctionDef) -> Iterator[Reference]:
        cls = self._evaluator.classes.of_method(function)
        if cls is None:
            return
        name = function.name.value
        decorators = decorator_names(self._tree, function)
        if name == "__init__":
            yield from self._of_class(cls)
        for node in self._places_of(function, cls):
            for value in self._evaluator.values(node.value):
                if isinstance(value, Result) and value.name == "super":
                    if self._is_method(node, function):
                        yield Reference(node, 0 if "staticmethod" in decorators else 1)
                        break
                    continue
                owner = class_of(value)
                if owner is None or self._evaluator.classes.method(owner, name) is not function:
                    continue
                bound = not isinstance(value, Class) or "classmethod" in decorators
                yield Reference(node, 0 if "staticmethod" in decorators or not bound else 1)
                break

    def _places_of(self, function: cst.FunctionDef, cls: cst.ClassDef) -> list[cst.Attribute]:
        """Where an attribute may be this method of an object of the class, or of ``super()``."""
        name = function.name.value
        everywhere = self._tree.attributes.get(name, [])
        if len(everywhere) < FEW:
            return everywhere
        by_owner = self._by_owner.get(name)
        if by_owner is None:
            cuts = self._evaluator.cuts
            by_owner = {}
            for place, node in enumerate(everywhere):
                for owner in dict.fromkeys(self._owners(node)):
                    by_owner.setdefault(owner, []).append((place, node))
            if self._evaluator.cuts == cuts:
                self._by_owner[name] = by_owner
        owners = (function, cls, *self._evaluator.classes.subclasses(cls))
        places = {place: node for owner in owners for place, node in by_owner.get(owner, ())}
        return [places[place] for place in sorted(places)]

    def _owners(self, node: cst.Attribute) -> Iterator[cst.CSTNode]:
        """The classes whose objects an attribute is read of; for ``super()`` the methods it is."""
        for value in self._evaluator.values(node.value):
            cls = class_of(value)
            if cls is not None:
                yield cls
            elif isinstance(value, Result) and value.name == "super":
                for method in self._evaluator.values(node):
                    if isinstance(method, (BoundMethod, Function)):
                        yield method.node

    def _is_method(self, node: cst.Attribute, function: cst.FunctionDef) -> bool:
        return any(
            isinstance(value, (BoundMethod, Function)) and value.node is function
            for value in self._evaluator.values(node)
        )

    def _of_class(self, cls: cst.ClassDef) -> Iterator[Reference]:
        for owner in (cls, *self._evaluator.classes.subclasses(cls)):
            if owner is not cls and self._evaluator.classes.method(owner, "__init__") is not (
                self._evaluator.classes.method(cls, "__init__")
            ):
                continue
            scope = self._tree.scope_of(owner)
            for binding in scope.target_of(owner.name.value).bindings.get(owner.name.value, ()):
                if binding.node is owner:
                    for load in self._tree.loads_of(binding):
                        yield Reference(load, 1)
            if scope.kind is ScopeKind.CLASS:
                for node in self._tree.attributes.get(owner.name.value, ()):
                    if Class(owner) in self._evaluator.values(node):
                        yield Reference(node, 1)

    def _with_aliases(self, references: list[Reference]) -> list[Reference]:
        """Add what else the value is called: ``work = f``, ``f if x else g``, ``w := f``."""
        result: dict[cst.CSTNode, Reference] = {}
        queue = list(references)
        while queue and len(result) < MOST_ALIASES:
            reference = queue.pop(0)
            if reference.node in result:
                continue
            result[reference.node] = reference
            parent = self._tree.parent(reference.node)
            if isinstance(parent, (cst.IfExp, cst.BooleanOperation)):
                queue.append(Reference(parent, reference.skip))
            elif isinstance(parent, cst.NamedExpr):
                queue.append(Reference(parent, reference.skip))
                queue += self._named(parent.target, reference.skip)
            elif isinstance(parent, cst.Assign):
                for target in parent.targets:
                    queue += self._named(target.target, reference.skip)
            elif isinstance(parent, cst.Element):
                queue += self._looped(parent, reference.skip)
        return list(result.values())

    def _looped(self, element: cst.Element, skip: int) -> Iterator[Reference]:
        """``for work in (read, write): …``"""
        display = self._tree.parent(element)
        loop = self._tree.parent(display) if display is not None else None
        if isinstance(loop, (cst.For, cst.CompFor)) and loop.iter is display:
            yield from self._named(loop.target, skip)

    def _named(self, target: cst.BaseExpression, skip: int) -> Iterator[Reference]:
        binding = self._tree.binding_at(target)
        if binding is not None and binding.kind in (Bound.ASSIGN, Bound.FOR):
            for load in self._evaluator.names.reads_of(binding):
                yield Reference(load, skip)


def _from_call(args: object, position: int, name: str) -> Iterator[Given]:
    index = 0
    for arg in args:  # type: ignore[attr-defined]
        if arg.star:
            return
        if arg.keyword is not None:
            if arg.keyword.value == name:
                yield Given(arg.value)
        else:
            if index == position and position >= 0:
                yield Given(arg.value)
            index += 1
