"""Refusals: what stops a value itself from being pickled, whatever its attributes hold."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.decorators import Decorators
from flake8_mppitfalls.model.pickling import picklable
from flake8_mppitfalls.model.pickling.byname import ByName
from flake8_mppitfalls.model.pickling.picklable import Refused
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Container,
    Coroutine,
    External,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Result,
    ResultMember,
    with_article,
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value


class Obstacle(enum.Enum):
    """Why a value can't cross."""

    LAMBDA = "a lambda has no name by which it could be found"
    LOCAL = "what is defined inside a function can't be found by its name"
    REFUSED = "pickle refuses it"
    REPLACED = "a decorator has put something else in its place"
    SHARED = "it goes to another process only while that is being started"


@dataclass(frozen=True, slots=True)
class Transport:
    """The way by which something is pickled.

    Attributes:
        starting: a process is being started with it: shared primitives and processes go along.
        dill: ``multiprocess`` sends it, whose ``dill`` takes functions, classes, locks, files.
        spawning: the other process may be a spawned one, which imports the module anew.
    """

    starting: bool = False
    dill: bool = False
    spawning: bool = True


class Stop(NamedTuple):
    """What stops one value."""

    obstacle: Obstacle
    value: Value
    what: str
    thread: bool = False
    attribute: str = ""
    store: cst.CSTNode | None = None


class Refusals:
    """Asks one module's values whether pickle takes them."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._tree = program.tree
        self.by_name = ByName(program.evaluator)
        self.decorators = Decorators(program.evaluator, self.by_name)
        self._managers: bool | None = None

    def stop(self, value: Value, transport: Transport) -> Stop | None:
        """What stops the value itself, whatever its attributes are."""
        refused: Refused | None = None
        if isinstance(value, Lambda):
            if transport.dill or self.by_name.is_renamed(value.node):
                return None
            return Stop(Obstacle.LAMBDA, value, "a lambda")
        if isinstance(value, (Function, Class)):
            return self.local(value, value.node, transport)
        if isinstance(value, BoundMethod):
            owner = value.receiver
            if not isinstance(owner, Class) and owner.cls is not None:
                if self._replaces(owner.cls):
                    return None
            return self.local(value, value.node, transport)
        if isinstance(value, Made):
            return self._stop_made(value, transport)
        if isinstance(value, Instance):
            return self._stop_instance(value, transport)
        if isinstance(value, Generator):
            refused = picklable.GENERATOR
        elif isinstance(value, Coroutine):
            refused = picklable.COROUTINE
        elif isinstance(value, Container):
            refused = self._view(value)
        elif isinstance(value, External):
            refused = picklable.external(value.name)
            if refused is None and self.by_name.is_module(value.name):
                refused = picklable.MODULE
        elif isinstance(value, Member):
            return self._stop_made(value.receiver, transport)
        elif isinstance(value, (Result, ResultMember)):
            result = value if isinstance(value, Result) else value.receiver
            local = self.by_name.local_type(result) if not transport.dill else None
            if local is not None:
                return Stop(Obstacle.LOCAL, value, local)
            if result.name == "<value>.get_lock" and not transport.starting:
                return Stop(Obstacle.SHARED, value, "the lock of a Value")
            refused = picklable.result(result.name)
            if refused is picklable.VIEW and self._has_managers():
                refused = None
            if (
                refused is not None
                and refused.what == picklable.MODULE.what
                and value is not result
            ):
                refused = None  # what a module has, goes by its name
        if refused is None or (transport.dill and not refused.dill):
            return None
        return Stop(Obstacle.REFUSED, value, refused.what, refused.thread)

    def _stop_made(self, made: Made, transport: Transport) -> Stop | None:
        if made.cls is not None:
            if self._replaces(made.cls):
                return None
            local = self.local(made, made.cls, transport)
            if local is not None:
                return local
            if self.reduces(made.cls):
                return None
        if made.kind in api.SHARED_BY_INHERITANCE:
            if transport.starting:
                return None
            return Stop(Obstacle.SHARED, made, with_article(made.name))
        refused = picklable.MADE.get(made.kind)
        if made.kind is api.Kind.PROCESS and not transport.starting:
            refused = picklable.PROCESS
        if refused is None or (transport.dill and not refused.dill):
            return None
        return Stop(Obstacle.REFUSED, made, refused.what)

    def _stop_instance(self, value: Instance, transport: Transport) -> Stop | None:
        if self._replaces(value.cls):
            return None
        local = self.local(value, value.cls, transport)
        if local is not None:
            return local
        if self.reduces(value.cls):
            return None
        for base in self._evaluator.classes.external_bases(value.cls):
            refused = picklable.result(base)
            if refused is not None and not (transport.dill and not refused.dill):
                return Stop(Obstacle.REFUSED, value, refused.what, refused.thread)
        return None

    def test_case(self, value: Value) -> Stop | None:
        """While its tests run, a test case holds the result object, and with it the stream."""
        if isinstance(value, Instance):
            bases = self._evaluator.classes.external_bases(value.cls)
            if picklable.TEST_CASES & set(bases) and not self.reduces(value.cls):
                return Stop(Obstacle.REFUSED, value, picklable.TEST_CASE.what)
        return None

    def local(self, value: Value, node: cst.CSTNode, transport: Transport) -> Stop | None:
        """Something defined inside a function: the other side can't find it by its name."""
        if transport.dill:
            return None
        what = self.by_name.local(node, transport.spawning)
        if what is None and isinstance(node, cst.FunctionDef) and node.decorators:
            if self.by_name.is_local(node, transport.spawning):
                if not self.by_name.is_renamed(node) and self.decorators.keeps_local(node):
                    what = f"{node.name.value}()"
        if what is not None:
            return Stop(Obstacle.LOCAL, value, what)
        return self._replaced(value, node)

    def _replaced(self, value: Value, node: cst.CSTNode) -> Stop | None:
        """A decorated function, in whose place the other side doesn't find what is pickled."""
        if not isinstance(node, cst.FunctionDef):
            return None
        found = self.decorators.stand_in(node)
        if found is None:
            return None
        name = node.name.value
        if isinstance(found, cst.ClassDef):
            what = f"an object of {found.name.value}, which is pickled with the function itself"
        elif isinstance(found, cst.FunctionDef):
            what = f"{found.name.value}(), which does not have its name"
        else:
            what = "a lambda"
        what = f"the decorator puts in the place of {name}() {what}"
        return Stop(Obstacle.REPLACED, value, what)

    def _view(self, container: Container) -> Refused | None:
        """A view of a dict: ``multiprocessing.managers`` registers a reducer for plain ones."""
        if container.type not in ("keys", "values", "items"):
            return None
        call = container.site
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
            for value in self._evaluator.values(call.func.value):
                if isinstance(value, Container) and isinstance(value.site, cst.Call):
                    if self._tree.qualified(value.site.func) == "collections.OrderedDict":
                        return picklable.ORDERED_VIEW
        return None if self._has_managers() else picklable.VIEW

    def _has_managers(self) -> bool:
        """Is ``multiprocessing.managers`` imported, by this file or by ``Manager()``?"""
        if self._managers is None:
            made = self._program.made
            self._managers = (
                bool(made.get(api.Kind.MANAGER) or made.get(api.Kind.MEMORY_MANAGER))
                or any(
                    binding.qualified.startswith("multiprocessing.managers")
                    for bindings in self._tree.module_scope.bindings.values()
                    for binding in bindings
                )
                or bool(self._tree.attributes.get("managers"))
            )
        return self._managers

    def _replaces(self, cls: cst.ClassDef) -> bool:
        """Does the class say what is pickled in the place of an instance?"""
        return any(
            not {"__reduce__", "__reduce_ex__"}.isdisjoint(self._tree.scopes[c].bindings)
            for c in self._evaluator.classes.mro(cls)
        )

    def reduces(self, cls: cst.ClassDef) -> bool:
        """Does the class, or somebody for it, say what of an instance is pickled?"""
        classes = self._evaluator.classes
        for c in classes.mro(cls):
            if not picklable.REDUCERS.isdisjoint(self._tree.scopes[c].bindings):
                return True
            if classes.has_reducer(c):
                return True
        return False

    def has_plain_state(self, cls: cst.ClassDef) -> bool:
        """False if a base from elsewhere may have its own way of being pickled."""
        return all(
            base in picklable.PLAIN_BASES
            or base in picklable.TEST_CASES
            or self._is_process(base)
            or base.endswith((".Process", "Error", "Exception"))
            for base in self._evaluator.classes.external_bases(cls)
        )

    @staticmethod
    def _is_process(base: str) -> bool:
        maker = api.maker(base)
        return maker is not None and maker.makes in (api.Kind.PROCESS, api.Kind.THREAD)
