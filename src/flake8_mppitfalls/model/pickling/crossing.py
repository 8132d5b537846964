"""Crossing: can this value go to another process, and if not, which part of it stops it?

``Crossing.culprits(task)`` answers for everything that a worker API call hands over. Containers,
partials and names are opened down to the values that count (``parts``); each is then asked whether
pickle takes it on this way (``Transport``), and an object of this module's classes is asked for its
attributes. What the file does not say may cross.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.pickling.attributes import Attributes, Content
from flake8_mppitfalls.model.pickling.parts import Part, Parts
from flake8_mppitfalls.model.pickling.refusals import Obstacle, Refusals, Stop, Transport
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
    Made,
    Member,
    ResultMember,
    is_none,
)
from flake8_mppitfalls.syntax.scopes import Binding, Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value
    from flake8_mppitfalls.syntax.scopes import Binding

_COLUMNS = frozenset({"enumerate", "zip"})
_ONE_BY_ONE = frozenset({"iter", "list", "reversed", "sorted", "tuple", "tqdm.tqdm"})
"""Iterables of the elements of another one: in tuples, and as they are."""
DEEPEST = 4
"""How many objects deep an object's attributes are looked at."""


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


def _is_none(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def _culprit(part: Part, stop: Stop) -> Culprit:
    by_name = stop.obstacle in (Obstacle.LOCAL, Obstacle.REPLACED)
    bound = isinstance(part.value, BoundMethod) and not by_name
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
        self.attributes = Attributes(program.evaluator, program.references)
        self._known: dict[Task, list[Culprit]] = {}
        self._parts = Parts(program.evaluator)
        self._refusals = Refusals(program)
        self._suspects: dict[tuple[cst.ClassDef, Transport], list[str]] = {}
        self._asking: set[object] = set()
        self._cuts = 0
        self._subclasses: dict[cst.ClassDef, list[cst.ClassDef]] = {}
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

    def parts(self, task: Task) -> list[Part]:
        """Everything that a worker API call hands over, with containers and partials opened."""
        return self._parts.of(task)

    def opened(self, node: cst.BaseExpression) -> list[Value]:
        """The values that an expression brings, with containers and partials opened."""
        return [part.value for part in self._parts.of_expression(node)]

    def arriving(self, function: cst.FunctionDef) -> Iterator[Value]:
        """What the parameters of a function bring, with containers and partials opened."""
        for bindings in self._tree.scopes[function].bindings.values():
            for binding in bindings:
                if binding.kind is Bound.PARAMETER:
                    for value in self._evaluator.bound(binding):
                        yield from self._parts.leaves(value)

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
        told = set()
        mixup = self._program.conventions.of(task.call) if task.name == "submit" else None
        threaded = self._may_be_a_thread(task)
        for part in self._parts.of(task):
            if mixup is not None and self._tree.is_within(part.node, mixup.node):
                continue  # callback=, which the callable does not take
            for culprit in self._of_part(part, transport, at):
                if threaded and culprit.in_object:
                    continue
                key = (culprit.node, culprit.obstacle, culprit.what, culprit.store)
                if key not in told and not self._is_on_other_branch(culprit.store, task.call):
                    told.add(key)
                    yield culprit

    def _moment(self, task: Task) -> cst.CSTNode:
        """Where it is pickled: for a process its ``start()``, if the same function calls it."""
        if task.shape.role == "process" and task.gives is api.Kind.PROCESS:
            scope = self._tree.function_of(task.call)
            for use in self._program.uses.of(task.call):
                if use.name == "start" and self._tree.function_of(use.node) is scope:
                    return use.node
        return task.call

    def _is_on_other_branch(self, store: cst.CSTNode | None, call: cst.Call) -> bool:
        """Is an attribute set where no way leads to the call, nor back from it?"""
        scope = self._tree.function_of(call)
        if store is None or self._tree.function_of(store) is not scope:
            return False
        flow = self._evaluator.names.flow(scope)
        if flow.points_of(store) == flow.points_of(call):
            return False
        set_, made = (Binding("", Bound.OTHER, node, scope) for node in (store, call))
        return not flow.reaching(call, [set_]) and not flow.reaching(store, [made])

    def _may_be_a_thread(self, task: Task) -> bool:
        """``make = Process if parallel else Thread``: what the object holds may go by that, too."""
        makers = self._evaluator.values(task.call.func)
        return any(isinstance(v, External) and v.name == "threading.Thread" for v in makers)

    def _of_part(self, part: Part, transport: Transport, at: cst.CSTNode) -> Iterator[Culprit]:
        if isinstance(part.value, (Member, ResultMember)) and not part.is_callable:
            return  # a method, or some plain attribute
        if part.is_callable and isinstance(part.value, (Generator, Coroutine)):
            return  # it was called by mistake
        if isinstance(part.value, Function) and not transport.dill:
            if self._is_wrapped_anew(part.value.node, part.node):
                yield _culprit(part, Stop(Obstacle.LOCAL, part.value, "the wrapper"))
                return
        if self._is_of_other_caller(part):
            return
        for stop in self._stops(part.value, transport, part.node, at):
            yield _culprit(part, stop)

    def _is_of_other_caller(self, part: Part) -> bool:
        """``for chunk in chunks(jobs, 9)``: did another caller of ``chunks()`` give it?"""
        site = getattr(part.value, "site", None)
        sides = self._program.sides
        if not isinstance(site, cst.CSTNode):
            return False
        for _, call in self._calls_behind(part.node):
            functions = sides.functions(self._evaluator.values(call.func))
            if not functions or self._tree.is_within(site, call):
                return False
            if any(self._tree.is_within(site, f) for f in sides.reach(functions)):
                return False
            return not any(part.value in self.opened(arg.value) for arg in call.args)
        return False

    def _is_wrapped_anew(self, inner: cst.FunctionDef, node: cst.BaseExpression) -> bool:
        """Is it the result of ``timed(work)``, with the name of ``work``, but not in its place?"""
        if not self._refusals.by_name.takes_name(inner):
            return False
        for name, call in self._calls_behind(node):
            first = call.args[0].value if call.args else None
            for value in self._evaluator.values(first):
                if isinstance(value, Function) and value.node.name.value != name:
                    return not self._refusals.by_name.is_nested(value.node)
        return False

    def _calls_behind(self, node: cst.BaseExpression) -> Iterator[tuple[str, cst.Call]]:
        """The calls whose result an expression is, with the name that the module has for it."""
        if isinstance(node, cst.Call):
            yield "", node
        elif isinstance(node, cst.Name):
            for binding in self._evaluator.names.bindings(node):
                value, path = binding.value, binding.path
                while isinstance(value, cst.Call) and binding.kind is Bound.FOR:
                    inner = self._iterated_by(value, path)
                    if inner is None:
                        break
                    value, path = inner
                if isinstance(value, cst.Call) and not path:
                    at_top = binding.scope.parent is None
                    yield binding.name if at_top else "", value

    def _iterated_by(
        self, call: cst.Call, path: tuple[int, ...]
    ) -> tuple[cst.BaseExpression, tuple[int, ...]] | None:
        """``chunks()`` of ``for number, chunk in enumerate(chunks())``, and the like."""
        name = self._tree.qualified(call.func)
        index = 0
        if name in _COLUMNS:
            if not path:
                return None
            index = path[0] - (name == "enumerate")
            path = path[1:]
        elif name not in _ONE_BY_ONE:
            return None
        if index not in range(len(call.args)) or any(arg.star for arg in call.args):
            return None
        return call.args[index].value, path

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
        stop = self._refusals.local(made, made.cls, Transport(True, made.flavour == "multiprocess"))
        return stop.what if stop is not None else None

    # -- values --------------------------------------------------------------------------------

    def _stops(
        self,
        value: Value,
        transport: Transport,
        node: cst.BaseExpression | None,
        at: cst.CSTNode,
        depth: int = 0,
    ) -> Iterator[Stop]:
        """What stops a value that is no container."""
        kind = type(value)
        if kind is Constant or kind is Computed:
            return
        stop = self._refusals.stop(value, transport)
        if stop is not None and self._is_one_of_many(stop.value):
            return
        if stop is not None:
            yield stop
            return
        if isinstance(value, BoundMethod):
            owner: Value = value.receiver
            receiver = node.value if isinstance(node, cst.Attribute) else None
            if isinstance(owner, Class) or "classmethod" in decorator_names(self._tree, value.node):
                return  # pickled with the class alone
            stop = self._refusals.test_case(owner) if not transport.dill else None
        else:
            owner, receiver = value, node
        if stop is None:
            stop = self._refusals.stop(owner, transport) if owner is not value else None
        if stop is not None:
            yield stop
        elif isinstance(owner, (Instance, Made)) and owner.cls is not None and depth < DEEPEST:
            found = list(self._held(owner, transport, receiver, at, depth))
            if not found and isinstance(owner, Instance) and owner.site is None:
                method = value.node if isinstance(value, BoundMethod) else None
                for heir in self._heirs(owner.cls, method, at):
                    found += self._held(Instance(heir, None), transport, receiver, at, depth)
            yield from found

    def _is_one_of_many(self, value: Value) -> bool:
        """Is it one of several types that an annotation leaves open (``str | Connection``)?"""
        node: cst.CSTNode | None = getattr(value, "site", None)
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            names = str(node.evaluated_value).replace("None", "")
            return len([name for name in re.split(r"[|,]", names) if name.strip("[] ")]) > 1
        while node is not None:
            parent = self._tree.parent(node)
            if isinstance(parent, cst.BinaryOperation):
                if not any(_is_none(side) for side in (parent.left, parent.right)):
                    return True
            elif isinstance(parent, cst.Subscript):
                if self._tree.qualified(parent.value).rpartition(".")[2] == "Union":
                    elements = [e.slice for e in parent.slice if isinstance(e.slice, cst.Index)]
                    if sum(1 for e in elements if not _is_none(e.value)) > 1:
                        return True
            elif not isinstance(parent, (cst.Index, cst.SubscriptElement)):
                return False
            node = parent
        return False

    def _heirs(
        self, cls: cst.ClassDef, method: cst.FunctionDef | None, at: cst.CSTNode
    ) -> Iterator[cst.ClassDef]:
        """The derived classes of which ``self`` may be an object at ``at``.

        They inherit the function that stands there, and the method that is handed over.
        """
        classes = self._evaluator.classes
        inherited = [method] if method is not None else []
        for node in (at, *self._tree.ancestors(at)):
            if isinstance(node, cst.FunctionDef) and classes.of_method(node) is not None:
                inherited.append(node)
                break
        if cls not in self._subclasses:
            self._subclasses[cls] = classes.subclasses(cls)
        for heir in self._subclasses[cls]:
            if all(classes.method(heir, m.name.value) is m for m in inherited):
                yield heir

    # -- names ---------------------------------------------------------------------------------

    def originals(self, task: Task) -> Iterator[tuple[cst.BaseExpression, str]]:
        """Where a decorator hands over the function that it decorates, and that one's name."""
        transport = self.transport(task)
        if transport is None or transport.dill:
            return
        for node in dict.fromkeys(part.node for part in self._parts.of(task)):
            for binding in self._parameters_behind(node):
                if not self._is_named_anew(binding):
                    for decorated in self._refusals.decorators.decorated_by(binding.scope.node):
                        yield node, decorated.name.value
                        break

    def _parameters_behind(self, node: cst.BaseExpression) -> Iterator[Binding]:
        """The parameters whose value a name is, or an attribute that the constructor sets."""
        if isinstance(node, cst.Name):
            yield from (b for b in self._tree.lookup(node) if b.kind is Bound.PARAMETER)
        elif isinstance(node, cst.Attribute):
            for value in self._evaluator.values(node.value):
                if isinstance(value, Instance):
                    for store in self._evaluator.members.stores(value.cls, node.attr.value):
                        if isinstance(store.value, cst.Name):
                            yield from self._parameters_behind(store.value)

    def _is_named_anew(self, binding: Binding) -> bool:
        """Is ``func.__qualname__`` set, under which the function may be kept elsewhere?"""
        return any(
            isinstance(target.value, cst.Name) and binding in self._tree.lookup(target.value)
            for target in self._tree.attributes.get("__qualname__", ())
            if self._evaluator.classes.store_of(target) is not None
        )

    # -- objects -------------------------------------------------------------------------------

    def _held(
        self,
        owner: Instance | Made,
        transport: Transport,
        receiver: cst.BaseExpression | None,
        at: cst.CSTNode,
        depth: int,
    ) -> Iterator[Stop]:
        """What the attributes of an object of this module's class hold that can't cross."""
        cls = owner.cls
        if cls is None or self._refusals.reduces(cls) or not self._refusals.has_plain_state(cls):
            return
        for name in self._suspicious(cls, transport, depth):
            for content in self.attributes.held(owner, name, receiver, at):
                stop = self._content_stop(content, transport, at, depth)
                if stop is not None:
                    inner = f"{name}.{stop.attribute}" if stop.attribute else name
                    yield stop._replace(attribute=inner, store=content.node)
                    break

    def _suspicious(self, cls: cst.ClassDef, transport: Transport, depth: int) -> list[str]:
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
                for name in self.attributes.names(cls)
                if any(
                    self._content_stop(content, transport, None, depth) is not None
                    for content in self.attributes.anywhere(anyone, name)
                )
            ]
            self._asking.discard(key)
            if depth == 0 or cuts == self._cuts:
                self._suspects[key] = known
        return known

    def _content_stop(
        self, content: Content, transport: Transport, at: cst.CSTNode | None, depth: int
    ) -> Stop | None:
        """What stops something that an attribute may hold; without ``at``: at any time."""

        def counts(addition: cst.CSTNode) -> bool:
            return self.attributes.is_added_before(content, addition, at)

        def stop_of(value: Value) -> Stop | None:
            leaves: Iterable[Value] = self._parts.leaves(value)
            if at is not None and isinstance(value, Container):
                leaves = self._parts.leaves_then(value, counts)
            for leaf in leaves:
                if not isinstance(leaf, (Member, ResultMember)):
                    for stop in self._stops(leaf, transport, None, at or content.node, depth + 1):
                        return stop
            return None

        options = self._options(content)
        stops = [stop_of(v) for v in content.values if options is not None or not is_none(v)]
        if None in stops and self._is_parameter(options or self._stored(content)):
            return None  # another caller, or the annotation, gives something that can cross
        return next((stop for stop in stops if stop is not None), None)

    def _stored(self, content: Content) -> cst.BaseExpression | None:
        """What is assigned to the attribute, or to the name that is."""
        node = content.node
        store = self._evaluator.classes.store_of(node) if isinstance(node, cst.Attribute) else None
        return self._evaluator.names.behind(store.value) if store is not None else None

    def _options(self, content: Content) -> cst.BaseExpression | None:
        """``options`` where the attribute holds ``options.get("lock")``."""
        stored = self._stored(content)
        func = stored.func if isinstance(stored, cst.Call) else None
        if isinstance(func, cst.Attribute) and func.attr.value in {"get", "pop"}:
            return func.value
        return None

    def _is_parameter(self, node: cst.BaseExpression | None) -> bool:
        """Is it what a parameter gives, whoever the caller is?"""
        bindings = self._evaluator.names.bindings(node) if isinstance(node, cst.Name) else ()
        return any(b.kind is Bound.PARAMETER for b in bindings)
