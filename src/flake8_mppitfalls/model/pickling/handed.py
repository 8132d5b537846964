"""What a worker API is handed that a child finds by its name only: functions, and classes.

Pickle writes a function or class as the name of its module and its own. ``handed(program)`` gives
each definition of this module that goes to another process in that way, and where it goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Container,
    Function,
    Instance,
    Made,
    Partial,
    Result,
    Value,
    class_of,
)
from flake8_mppitfalls.syntax.scopes import ScopeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.tasks import Given, Task
    from flake8_mppitfalls.model.program import Program

Definition: TypeAlias = "cst.FunctionDef | cst.ClassDef | cst.Call"
"""A ``def``, a ``class``, or the call of a class factory (``namedtuple``)."""

CLASS_FACTORIES = frozenset(
    {"collections.namedtuple", "typing.NamedTuple", "dataclasses.make_dataclass", "enum.Enum"}
)


class Handed(NamedTuple):
    """A definition that another process has to find.

    Attributes:
        place: the callable or argument; for a ``Process`` subclass where it is instantiated.
        definition: what the child looks for, by its name in the module.
        task: the worker API call; ``None`` for the subclass.
    """

    place: cst.CSTNode
    definition: Definition
    task: Task | None


def handed(program: Program) -> Iterator[Handed]:
    """What of this module's top level is pickled by name for a process that is not forked."""
    finder = _Finder(program)
    for task in program.tasks:
        if task.in_processes and _spawns(program, task) and not _by_dill(task.receivers):
            yield from finder.of_task(task)
    for made in program.made.get(api.Kind.PROCESS, ()):
        if made.cls is not None and program.start_methods.spawns(made) and not _by_dill((made,)):
            yield from finder.found(made.site, [made.cls], None)


def name_of(definition: Definition) -> str:
    """What to call a definition in a message."""
    if isinstance(definition, cst.Call):
        first = definition.args[0].value if definition.args else None
        return str(first.evaluated_value) if isinstance(first, cst.SimpleString) else "the class"
    return definition.name.value


def _spawns(program: Program, task: Task) -> bool:
    if not task.receivers:  # torch's spawn()
        return bool(program.start_methods.configured & SPAWNING)
    return program.start_methods.spawns(*task.receivers)


def _by_dill(receivers: Iterable[Made]) -> bool:
    """``multiprocess`` pickles with dill, which sends what ``__main__`` defines by value."""
    return any(made.flavour == "multiprocess" for made in receivers)


class _Finder:
    def __init__(self, program: Program) -> None:
        self._evaluator = program.evaluator
        self._tree = program.tree

    def of_task(self, task: Task) -> Iterator[Handed]:
        if task.callable is not None:
            definitions = self._definitions(self._evaluator.values(task.callable))
            yield from self.found(task.callable, definitions, task)
        for given in task.given():
            for place, values in self._parts(given):
                found = list(self.found(place, self._definitions(values), task))
                if found:
                    yield from found
                    break

    def found(
        self, place: cst.CSTNode, definitions: Iterable[Definition], task: Task | None
    ) -> Iterator[Handed]:
        """One :class:`Handed` for a place: the first definition at the module's top level."""
        for definition in definitions:
            outermost = self._outermost(definition)
            if outermost is not None:
                yield Handed(place, outermost, task)
                return

    def _outermost(self, definition: Definition) -> Definition | None:
        """The definition by whose name the child begins to look; ``None`` for local ones."""
        result = definition
        scope = self._tree.function_of(definition)
        while scope.kind is ScopeKind.CLASS and isinstance(scope.node, cst.ClassDef):
            result = scope.node
            scope = self._tree.function_of(result)
        return result if scope.kind is ScopeKind.MODULE else None

    def _parts(self, given: Given) -> Iterator[tuple[cst.CSTNode, tuple[Value, ...]]]:
        """The elements of an argument that is written as a display, or the argument as it is."""
        expression = given.expression
        if given.path and given.path[0] is None and isinstance(expression, _DISPLAYS):
            for element in expression.elements:
                if not isinstance(element, cst.StarredElement):
                    inner = given._replace(expression=element.value, path=given.path[1:])
                    yield from self._parts(inner)
        else:
            yield expression, self._evaluator.given(given)

    def _definitions(self, values: Iterable[Value]) -> Iterator[Definition]:
        """What pickle looks up by its name, of the values and of what they hold."""
        seen: set[Value] = set()  # a list may be an element of itself
        todo = [*values][::-1]
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            held: list[Value] = []
            if isinstance(value, BoundMethod):
                cls = class_of(value.receiver)
                assert cls is not None
                yield cls
            elif isinstance(value, (Function, Class)):
                yield value.node
            elif isinstance(value, Instance) or (isinstance(value, Made) and value.cls is not None):
                assert value.cls is not None
                yield value.cls
            elif isinstance(value, Partial):
                held += value.targets
                for arg in value.site.args[1:]:
                    held += self._evaluator.values(arg.value)
            elif isinstance(value, Result):
                yield from self._factories(value)
            elif isinstance(value, Container) and value.type != "annotation":
                held += self._evaluator.containers.elements((value,))
            todo += reversed(held)

    def _factories(self, value: Result) -> Iterator[cst.Call]:
        """``Move("pawn", "e4")`` of a ``Move = namedtuple("Move", …)``: the latter call."""
        if value.name.removesuffix("()") in CLASS_FACTORIES and isinstance(value.site, cst.Call):
            if not value.name.endswith("()"):
                yield value.site
                return
            for maker in self._evaluator.values(value.site.func):
                if isinstance(maker, Result) and isinstance(maker.site, cst.Call):
                    yield maker.site


_DISPLAYS = (cst.List, cst.Tuple, cst.Set)
