"""Crossing: can this value go to another process, and if not, which part of it stops it?

``Crossing.culprits(task)`` answers for everything that a worker API call hands over. Containers,
partials and names are opened down to the values that count (``parts``); each is then asked whether
pickle takes it on this way (``Transport``), and an object of this module's classes is asked for its
attributes. What the file does not say may cross.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api, picklable
from flake8_mppitfalls.model.attributes import Attributes, Content
from flake8_mppitfalls.model.byname import ByName
from flake8_mppitfalls.model.classes import decorator_names
from flake8_mppitfalls.model.parts import Part, Parts
from flake8_mppitfalls.model.picklable import Refused
from flake8_mppitfalls.model.startmethods import SPAWNING
from flake8_mppitfalls.model.uses import HANDED_ON
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Computed,
    Constant,
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
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.tasks import Task
    from flake8_mppitfalls.model.values import Value

DEEPEST = 4
"""How many objects deep an object's attributes are looked at."""


class Obstacle(enum.Enum):
    """Why a value can't cross."""

    LAMBDA = "a lambda has no name by which it could be found"
    LOCAL = "what is defined inside a function can't be found by its name"
    REFUSED = "pickle refuses it"
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


@dataclass(frozen=True, slots=True)
class Culprit:
    """What stops a worker API call's callable or argument.

    Attributes:
        obstacle: why.
        node: where to report it.
        value: the value that can't cross.
        what: what to call it.
        part: the part of the call that it belongs to.
        attribute: ``lock``, or ``log.stream``, where an object's attribute holds it.
        store: where that attribute is set.
        bound: the object itself is refused, and comes along with its bound method.
        thread: it serves the threads of one process only.
    """

    obstacle: Obstacle
    node: cst.BaseExpression
    value: Value
    what: str
    part: Part
    attribute: str = ""
    store: cst.CSTNode | None = None
    bound: bool = False
    thread: bool = False

    @property
    def in_object(self) -> bool:
        """True if it crosses inside an object of one of this module's classes."""
        return self.bound or bool(self.attribute)


class _Stop(NamedTuple):
    """What stops one value."""

    obstacle: Obstacle
    value: Value
    what: str
    thread: bool = False
    attribute: str = ""
    store: cst.CSTNode | None = None


def _culprit(part: Part, stop: _Stop) -> Culprit:
    bound = isinstance(part.value, BoundMethod) and stop.obstacle is not Obstacle.LOCAL
    return Culprit(
        stop.obstacle,
        part.node,
        stop.value,
        stop.what,
        part,
        stop.attribute,
        stop.store,
        bound,
        stop.thread,
    )


class Crossing:
    """Answers for one module what can go to another process."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._tree = program.tree
        self._attributes = Attributes(program.evaluator, program.references)
        self._known: dict[Task, list[Culprit]] = {}
        self._parts = Parts(program.evaluator)
        self._by_name = ByName(program.evaluator)
        self._suspects: dict[tuple[cst.ClassDef, Transport], list[str]] = {}
        self._asking: set[object] = set()
        self._cuts = 0
        self._managers: bool | None = None
        self._own_pickling: bool | None = None

    # -- tasks ---------------------------------------------------------------------------------

    def culprits(self, task: Task) -> list[Culprit]:
        """What stops the callable and the arguments of a worker API call from crossing."""
        known = self._known.get(task)
        if known is None:
            transport = self.transport(task)
            known = [] if transport is None else list(self._of_task(task, transport))
            if known and self._is_never_started(task):
                known = []
            self._known[task] = known
        return known

    def _is_never_started(self, task: Task) -> bool:
        """True for a ``Process`` that this file makes and clearly never starts."""
        if task.gives is not api.Kind.PROCESS:
            return False
        uses = self._program.uses.of(task.call)
        return not any(use.name == "start" or use.kind in HANDED_ON for use in uses)

    def transport(self, task: Task) -> Transport | None:
        """How what a task hands over is pickled; ``None`` where it is not, or nobody knows."""
        if not task.in_processes or self.has_own_pickling:
            return None
        starting = not task.shape.always_pickled
        spawning = bool(self.methods(task) & SPAWNING)
        if starting and not spawning:
            return None
        dill = any(made.flavour == "multiprocess" for made in task.receivers)
        return Transport(starting, dill, spawning)

    def methods(self, task: Task) -> frozenset[str]:
        """The start methods of the processes that run the task."""
        if task.name in ("spawn", "start_processes"):  # of torch: they have a default of their own
            given = task.argument("start_method")
            name = self._evaluator.text(given) if given is not None else "spawn"
            return frozenset({name}) if name is not None else self._program.start_methods.configured
        return self._program.start_methods.of_all(task.receivers)

    @property
    def has_own_pickling(self) -> bool:
        """True if the module replaces the pickling of ``multiprocessing``."""
        if self._own_pickling is None:
            self._own_pickling = any(
                self._tree.qualified(node).startswith("multiprocessing.reduction.")
                or name == "reducer"
                for name in ("ForkingPickler", "AbstractReducer", "dump", "dumps", "reducer")
                for node in self._tree.attributes.get(name, ())
                if self._evaluator.classes.store_of(node) is not None
            )
        return self._own_pickling

    def _of_task(self, task: Task, transport: Transport) -> Iterator[Culprit]:
        at = self._moment(task)
        for part in self._parts.of(task):
            yield from self._of_part(part, transport, at)

    def _moment(self, task: Task) -> cst.CSTNode:
        """Where it is pickled: for a process its ``start()``, if the same function calls it."""
        if task.shape.role == "process" and task.gives is api.Kind.PROCESS:
            scope = self._tree.function_of(task.call)
            for use in self._program.uses.of(task.call):
                if use.name == "start" and self._tree.function_of(use.node) is scope:
                    return use.node
        return task.call

    def _of_part(self, part: Part, transport: Transport, at: cst.CSTNode) -> Iterator[Culprit]:
        if isinstance(part.value, (Member, ResultMember)) and not part.is_callable:
            return  # a method, or some plain attribute
        for stop in self._stops(part.value, transport, part.node, at):
            yield _culprit(part, stop)

    def of_expression(
        self, node: cst.BaseExpression, transport: Transport, at: cst.CSTNode
    ) -> Iterator[Culprit]:
        """What stops the value of any expression, pickled at ``at``."""
        for part in self._parts.of_expression(node):
            yield from self._of_part(part, transport, at)

    def of_object(
        self, made: Made, receiver: cst.BaseExpression, at: cst.CSTNode, transport: Transport
    ) -> Iterator[Culprit]:
        """What the attributes of a process hold that can't cross when it is started at ``at``."""
        part = Part(receiver, made, False)
        for stop in self._held(made, transport, receiver, at, 0):
            yield _culprit(part, stop)

    def local_process(self, made: Made) -> str | None:
        """The class of a process that is defined inside a function, if that stops its start."""
        if made.cls is None or self.has_own_pickling:
            return None
        if not self._program.start_methods.spawns(made):
            return None
        stop = self._local(made, made.cls, Transport(True, made.flavour == "multiprocess"))
        return stop.what if stop is not None else None

    # -- values --------------------------------------------------------------------------------

    def _stops(
        self,
        value: Value,
        transport: Transport,
        node: cst.BaseExpression | None,
        at: cst.CSTNode,
        depth: int = 0,
    ) -> Iterator[_Stop]:
        """What stops a value that is no container."""
        kind = type(value)
        if kind is Constant or kind is Computed:
            return
        stop = self._stop(value, transport)
        if stop is not None:
            yield stop
            return
        if isinstance(value, BoundMethod):
            owner: Value = value.receiver
            receiver = node.value if isinstance(node, cst.Attribute) else None
            if isinstance(owner, Class) or "classmethod" in decorator_names(self._tree, value.node):
                return  # pickled with the class alone
            stop = self._test_case(owner) if not transport.dill else None
        else:
            owner, receiver = value, node
        if stop is None:
            stop = self._stop(owner, transport) if owner is not value else None
        if stop is not None:
            yield stop
        elif isinstance(owner, (Instance, Made)) and owner.cls is not None and depth < DEEPEST:
            yield from self._held(owner, transport, receiver, at, depth)

    def _stop(self, value: Value, transport: Transport) -> _Stop | None:
        """What stops the value itself, whatever its attributes are."""
        refused: Refused | None = None
        if isinstance(value, Lambda):
            if transport.dill or self._by_name.is_renamed(value.node):
                return None
            return _Stop(Obstacle.LAMBDA, value, "a lambda")
        if isinstance(value, (Function, Class)):
            return self._local(value, value.node, transport)
        if isinstance(value, BoundMethod):
            owner = value.receiver
            if not isinstance(owner, Class) and owner.cls is not None:
                if self._replaces(owner.cls):
                    return None
            return self._local(value, value.node, transport)
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
            if refused is None and self._by_name.is_module(value.name):
                refused = picklable.MODULE
        elif isinstance(value, Member):
            return self._stop_made(value.receiver, transport)
        elif isinstance(value, (Result, ResultMember)):
            result = value if isinstance(value, Result) else value.receiver
            local = self._by_name.local_type(result) if not transport.dill else None
            if local is not None:
                return _Stop(Obstacle.LOCAL, value, local)
            if result.name == "<value>.get_lock" and not transport.starting:
                return _Stop(Obstacle.SHARED, value, "the lock of a Value")
            refused = picklable.result(result.name)
            if refused is picklable.VIEW and self._has_managers():
                refused = None
        if refused is None or (transport.dill and not refused.dill):
            return None
        return _Stop(Obstacle.REFUSED, value, refused.what, refused.thread)

    def _stop_made(self, made: Made, transport: Transport) -> _Stop | None:
        if made.cls is not None:
            if self._replaces(made.cls):
                return None
            local = self._local(made, made.cls, transport)
            if local is not None:
                return local
            if self._reduces(made.cls):
                return None
        if made.kind in api.SHARED_BY_INHERITANCE:
            if transport.starting:
                return None
            return _Stop(Obstacle.SHARED, made, f"a {made.name}")
        refused = picklable.MADE.get(made.kind)
        if made.kind is api.Kind.PROCESS and not transport.starting:
            refused = picklable.PROCESS
        if refused is None or (transport.dill and not refused.dill):
            return None
        return _Stop(Obstacle.REFUSED, made, refused.what)

    def _stop_instance(self, value: Instance, transport: Transport) -> _Stop | None:
        if self._replaces(value.cls):
            return None
        local = self._local(value, value.cls, transport)
        if local is not None:
            return local
        if self._reduces(value.cls):
            return None
        for base in self._evaluator.classes.external_bases(value.cls):
            refused = picklable.result(base)
            if refused is not None and not (transport.dill and not refused.dill):
                return _Stop(Obstacle.REFUSED, value, refused.what, refused.thread)
        return None

    def _test_case(self, value: Value) -> _Stop | None:
        """While its tests run, a test case holds the result object, and with it the stream."""
        if isinstance(value, Instance):
            bases = self._evaluator.classes.external_bases(value.cls)
            if picklable.TEST_CASES & set(bases) and not self._reduces(value.cls):
                return _Stop(Obstacle.REFUSED, value, picklable.TEST_CASE.what)
        return None

    # -- names ---------------------------------------------------------------------------------

    def _local(self, value: Value, node: cst.CSTNode, transport: Transport) -> _Stop | None:
        """Something defined inside a function: the other side can't find it by its name."""
        if transport.dill:
            return None
        what = self._by_name.local(node, transport.spawning)
        return _Stop(Obstacle.LOCAL, value, what) if what is not None else None

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

    # -- objects -------------------------------------------------------------------------------

    def _replaces(self, cls: cst.ClassDef) -> bool:
        """Does the class say what is pickled in the place of an instance?"""
        return any(
            not {"__reduce__", "__reduce_ex__"}.isdisjoint(self._tree.scopes[c].bindings)
            for c in self._evaluator.classes.mro(cls)
        )

    def _reduces(self, cls: cst.ClassDef) -> bool:
        """Does the class, or somebody for it, say what of an instance is pickled?"""
        classes = self._evaluator.classes
        for c in classes.mro(cls):
            if not picklable.REDUCERS.isdisjoint(self._tree.scopes[c].bindings):
                return True
            for name in ("pickle", "register"):
                for call in self._tree.calls_of.get(name, ()):
                    first = call.args[0].value if call.args else None
                    if isinstance(first, cst.Name) and first.value == c.name.value:
                        return True
        return False

    def _held(
        self,
        owner: Instance | Made,
        transport: Transport,
        receiver: cst.BaseExpression | None,
        at: cst.CSTNode,
        depth: int,
    ) -> Iterator[_Stop]:
        """What the attributes of an object of this module's class hold that can't cross."""
        cls = owner.cls
        if cls is None or self._reduces(cls) or not self._has_plain_state(cls):
            return
        for name in self._suspicious(owner, cls, transport, depth):
            for content in self._attributes.held(owner, name, receiver, at):
                stop = self._content_stop(content, transport, at, depth)
                if stop is not None:
                    inner = f"{name}.{stop.attribute}" if stop.attribute else name
                    yield stop._replace(attribute=inner, store=content.node)
                    break

    def _suspicious(
        self, owner: Instance | Made, cls: cst.ClassDef, transport: Transport, depth: int
    ) -> list[str]:
        """The attributes to which something is ever assigned that can't cross."""
        key = (cls, transport)
        known = self._suspects.get(key)
        if known is None:
            if key in self._asking:
                self._cuts += 1
                return []
            self._asking.add(key)
            cuts = self._cuts
            anyone = Instance(cls, None)
            known = [
                name
                for name in self._attributes.names(cls)
                if any(
                    self._content_stop(content, transport, None, depth) is not None
                    for content in self._attributes.anywhere(anyone, name)
                )
            ]
            self._asking.discard(key)
            if depth == 0 or cuts == self._cuts:
                self._suspects[key] = known
        return known

    def _content_stop(
        self, content: Content, transport: Transport, at: cst.CSTNode | None, depth: int
    ) -> _Stop | None:
        """What stops something that an attribute may hold; without ``at``: at any time."""

        def counts(addition: cst.CSTNode) -> bool:
            return self._attributes.is_added_before(content, addition, at)

        for value in content.values:
            leaves: Iterable[Value] = self._parts.leaves(value)
            if at is not None and isinstance(value, Container):
                leaves = self._parts.leaves_then(value, counts)
            for leaf in leaves:
                if not isinstance(leaf, (Member, ResultMember)):
                    for stop in self._stops(leaf, transport, None, at or content.node, depth + 1):
                        return stop
        return None

    def _has_plain_state(self, cls: cst.ClassDef) -> bool:
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
