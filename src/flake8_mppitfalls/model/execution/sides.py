"""Sides: which functions run in a worker, which in the parent, which at import.

The call graph of the module, by reference: a function that another one names may be called by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution.worlds import AT_RUN_TIME
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Function,
    Instance,
    Lambda,
    Made,
    Partial,
    class_of,
)
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.tasks import Task, Tasks
    from flake8_mppitfalls.model.execution.conditions import Conditions
    from flake8_mppitfalls.model.values import Value, Values
    from flake8_mppitfalls.syntax.scopes import Binding, Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """A function by which a worker begins: ``task`` hands it over; ``None`` for a ``run()``."""

    function: cst.CSTNode
    task: Task | None


class Sides:
    """Answers on which side the functions of one module run."""

    def __init__(self, evaluator: Evaluator, tasks: Tasks, conditions: Conditions) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._tasks = tasks
        self._conditions = conditions
        self._kinds: dict[tuple[Scope, str], frozenset[Bound]] = {}
        self._callees: dict[cst.CSTNode, list[cst.CSTNode]] = {}
        self._reached: dict[cst.CSTNode, frozenset[cst.CSTNode]] = {}
        self._entries: list[Entry] | None = None
        self._workers: frozenset[cst.CSTNode] | None = None
        self._initializers: frozenset[cst.CSTNode] | None = None
        self._parents: frozenset[cst.CSTNode] | None = None
        self._method_names: set[str] | None = None

    # -- workers -------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """The functions handed to worker APIs that start processes, and ``run`` of ``Process``."""
        if self._entries is None:
            found: dict[Entry, None] = {}
            for task in self._tasks.all():
                if not task.in_processes or task.shape.role in ("initializer", "manager"):
                    continue
                for function in self.functions(self._evaluator.values(task.callable)):
                    found[Entry(function, task)] = None
            for cls in self._tree.nodes(cst.ClassDef):
                maker = self._evaluator.classes.maker(cls)
                if maker is not None and maker.makes is api.Kind.PROCESS:
                    run = self._evaluator.classes.method(cls, "run")
                    if run is not None:
                        found[Entry(run, None)] = None
            self._entries = list(found)
        return self._entries

    @cached_property
    def entered(self) -> frozenset[cst.CSTNode]:
        """The functions of the entries."""
        return frozenset(entry.function for entry in self.entries())

    def entries_of(self, function: cst.CSTNode) -> list[Entry]:
        """The entries, initializers too, by which a worker comes to run a function."""
        entries = (*self.entries(), *self.initializer_entries())
        return [entry for entry in entries if function in self._reach_of(entry.function)]

    def initializer_entries(self) -> Iterator[Entry]:
        """The initializers that worker APIs are given: what a worker does before its tasks."""
        for task in self._tasks.all():
            if task.in_processes and task.shape.role in ("initializer", "manager"):
                for function in self.functions(self._evaluator.values(task.callable)):
                    yield Entry(function, task)

    def _reach_of(self, function: cst.CSTNode) -> frozenset[cst.CSTNode]:
        known = self._reached.get(function)
        if known is None:
            known = self._reached[function] = self.reach((function,))
        return known

    def processes(self, entry: Entry) -> tuple[Made, ...]:
        """The pools, executors or processes whose workers run an entry."""
        if entry.task is not None:
            return entry.task.receivers
        cls = self._evaluator.classes.of_method(entry.function)
        own = self._evaluator.instance(cls, None) if cls is not None else None
        return (own,) if isinstance(own, Made) else ()

    def targets(self, process: Made) -> list[cst.CSTNode]:
        """The functions that a process runs: the ``run()`` of its class, or its target."""
        if process.cls is not None:
            run = self._evaluator.classes.method(process.cls, "run")
            if run is not None:
                return [run]
        task = self._tasks.of(process.site) if isinstance(process.site, cst.Call) else None
        if task is None or task.callable is None:
            return []
        return self.functions(self._evaluator.values(task.callable))

    @property
    def workers(self) -> frozenset[cst.CSTNode]:
        """All functions that run in a worker: the entries and what they call."""
        if self._workers is None:
            entries = [entry.function for entry in self.entries()]
            beginnings = (self._begin(entry.function) for entry in self.entries())
            self._workers = self.reach([*entries, *(begin for begin in beginnings if begin)])
        return self._workers

    def _begin(self, run: cst.CSTNode) -> cst.FunctionDef | None:
        """What calls ``run()`` in the child, if a subclass of ``Process`` has its own."""
        cls = self._evaluator.classes.of_method(run)
        return self._evaluator.classes.method(cls, "_bootstrap") if cls is not None else None

    @property
    def initializers(self) -> frozenset[cst.CSTNode]:
        """The functions that run as, or are called by, an initializer of a pool's workers."""
        if self._initializers is None:
            self._initializers = self.reach(entry.function for entry in self.initializer_entries())
        return self._initializers

    @property
    def parents(self) -> frozenset[cst.CSTNode]:
        """The functions that the parent may run: all but those that only workers reach."""
        if self._parents is None:
            inside = self.workers | self.initializers
            roots: list[cst.CSTNode] = [self._tree.module]
            roots += [f for f in self._tree.nodes(cst.FunctionDef) if f not in inside]
            self._parents = self.reach(roots)
        return self._parents

    def worker_of(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The worker function in whose body ``node`` stands (nested functions count to it)."""
        for function in self.functions_around(node):
            if function in self.workers:
                return function
        return None

    def is_parent_code(self, node: cst.CSTNode) -> bool:
        """True for what runs outside of worker functions and initializers."""
        return not any(
            function in self.workers or function in self.initializers
            for function in self.functions_around(node)
        )

    def functions_around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The functions and lambdas whose body holds ``node``, from the inside out."""
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) is cst.FunctionDef or type(parent) is cst.Lambda:
                if child is parent.body:
                    yield parent
            child = parent

    # -- the call graph ------------------------------------------------------------------------

    def functions(self, values: Iterable[Value]) -> list[cst.CSTNode]:
        """The functions of this module that run when one of the values is called."""
        found: dict[cst.CSTNode, None] = {}
        for value in values:
            if isinstance(value, (Function, BoundMethod, Lambda)):
                found[value.node] = None
            elif isinstance(value, Partial):
                found.update(dict.fromkeys(self.functions(value.targets)))
            elif isinstance(value, Class):
                self._add_method(found, value.node, "__init__")
            elif isinstance(value, (Instance, Made)) and value.cls is not None:
                self._add_method(found, value.cls, "__call__")
        return list(found)

    def _add_method(self, found: dict[cst.CSTNode, None], cls: cst.ClassDef, name: str) -> None:
        method = self._evaluator.classes.method(cls, name)
        if method is not None:
            found[method] = None

    def reach(self, roots: Iterable[cst.CSTNode]) -> frozenset[cst.CSTNode]:
        """``roots`` and the functions that they reach by calls and references."""
        reached: dict[cst.CSTNode, None] = {}
        work = list(roots)
        while work:
            function = work.pop()
            if function not in reached:
                reached[function] = None
                work.extend(self.callees(function))
        return frozenset(reached)

    def callees(self, function: cst.CSTNode) -> list[cst.CSTNode]:
        """The functions of this module that the code of ``function`` calls or names.

        What it only hands to another process does not count: that runs on the other side.
        """
        known = self._callees.get(function)
        if known is None:
            found: dict[cst.CSTNode, None] = {}
            # Its decorators and defaults run where it is defined.
            body = function.body if isinstance(function, cst.FunctionDef) else function
            for node in self._tree.walk(body):
                if not self._is_handed_over(node):
                    found.update(dict.fromkeys(self._named(node)))
            if isinstance(function, cst.FunctionDef):
                found.update(dict.fromkeys(self._put_around(function)))
            known = self._callees[function] = list(found)
        return known

    def _put_around(self, function: cst.FunctionDef) -> Iterator[cst.CSTNode]:
        """What decorators of this module put in the place of a function runs with it."""
        for decorator in function.decorators:
            for value in self._evaluator.values(decorator.decorator):
                if isinstance(value, Class):
                    given: Values = (self._evaluator.instance(value.node, None),)
                else:
                    given = tuple(
                        inner
                        for decider in self.functions((value,))
                        if isinstance(decider, cst.FunctionDef)
                        for inner in self._evaluator.returned(decider)
                    )
                yield from self.functions(given)

    def _is_handed_over(self, node: cst.CSTNode, depth: int = 0) -> bool:
        """Does a callable go to another process, and nowhere else?

        In a ``partial`` or by another name, too: ``job = partial(f, x); Process(target=job)``.
        """
        parent = self._tree.parent(node)
        if type(parent) is cst.Assign and depth < 3:
            target = parent.targets[0].target
            if len(parent.targets) > 1 or not isinstance(target, cst.Name):
                return False
            bindings = self._tree.lookup(target)
            loads = self._tree.loads_of(bindings[0]) if bindings else []
            return bool(loads) and all(self._is_handed_over(load, depth + 1) for load in loads)
        call = self._tree.parent(parent) if type(parent) is cst.Arg else None
        if not isinstance(call, cst.Call):
            return False
        if parent is call.args[0] and self._tree.qualified(call.func) == "functools.partial":
            return self._is_handed_over(call, depth + 1)
        task = self._tasks.of(call)
        return task is not None and task.callable is node and task.in_processes

    def _named(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        if type(node) is cst.Lambda:
            return [node]
        if type(node) is cst.Name:
            if isinstance(self._tree.parent(node), cst.Attribute):
                return []  # ``Work.find()`` names a method, and makes no ``Work``
            owner = self._tree.scope_of(node).owner_of(node.value)
            kinds = self._kinds_of(owner, node.value) if owner is not None else ()
            if Bound.FUNCTION in kinds or Bound.CLASS in kinds:
                return self.functions(self._evaluator.values(node))
            if Bound.PARAMETER in kinds:
                return self._given_to_worker(node, self._tree.lookup(node))
            if Bound.ASSIGN in kinds and owner is self._tree.module_scope:
                call = self._tree.parent(node)
                if isinstance(call, cst.Call) and call.func is node:
                    return self.functions(self._evaluator.values(node))  # ``find = Work.find``
        elif type(node) is cst.Attribute and node.attr.value == "start":
            return [*self._of_threads(node), *self.functions(self._evaluator.values(node))]
        elif type(node) is cst.Attribute and node.attr.value in self._methods():
            found = self.functions(self._evaluator.values(node))
            return [*found, *self._getters(node), *self.of_heirs(node)]
        return []

    def _of_threads(self, node: cst.Attribute) -> Iterator[cst.CSTNode]:
        """``self.cleaner.start()``: what a thread runs, wherever that was made."""
        for value in self._evaluator.values(node.value):
            if not isinstance(value, Made) or value.kind is not api.Kind.THREAD:
                continue
            run = self._evaluator.classes.method(value.cls, "run") if value.cls else None
            if run is not None:
                yield run
            elif isinstance(value.site, cst.Call):
                target = argument(value.site, api.MAKERS["Thread"].parameters, "target")
                yield from self.functions(self._evaluator.values(target))

    def _getters(self, node: cst.Attribute) -> Iterator[cst.FunctionDef]:
        """``self.rate``: reading a property runs it."""
        classes = self._evaluator.classes
        for cls in dict.fromkeys(map(class_of, self._evaluator.values(node.value))):
            getter = classes.method(cls, node.attr.value) if cls is not None else None
            if getter is not None and classes.is_property(getter):
                yield getter

    def _kinds_of(self, owner: Scope, name: str) -> frozenset[Bound]:
        """The kinds of the bindings of a name: it may have thousands."""
        known = self._kinds.get((owner, name))
        if known is None:
            kinds = frozenset(binding.kind for binding in owner.bindings[name])
            known = self._kinds[owner, name] = kinds
        return known

    def _given_to_worker(self, node: cst.Name, bindings: list[Binding]) -> list[cst.CSTNode]:
        """``convert(row)`` in a task that gets ``convert`` as an argument.

        What other functions get is named where it is given, and counts there.
        """
        parent = self._tree.parent(node)
        if not isinstance(parent, cst.Call) or parent.func is not node:
            return []
        owner = bindings[0].scope.node
        if not any(entry.function is owner for entry in self.entries()):
            return []
        if self._evaluator.references.calls(owner):
            return []  # the parent may give it something else
        functions = self.functions(self._evaluator.values(node))
        return [function for function in functions if not self._gives_functions(function)]

    def _gives_functions(self, function: cst.CSTNode) -> bool:
        """Does a function name others without calling them? Nobody knows who runs those."""
        return any(
            isinstance(node, (cst.Name, cst.Attribute))
            and getattr(self._tree.parent(node), "func", None) is not node
            and self._named(node)
            for node in self._tree.walk(function)
        )

    def of_heirs(self, node: cst.Attribute) -> Iterator[cst.FunctionDef]:
        """``self.step()``: what the subclasses of this module have under that name."""
        classes = self._evaluator.classes
        if not isinstance(node.value, cst.Name):
            return
        for value in self._evaluator.values(node.value):
            if isinstance(value, (Instance, Made)) and not isinstance(value.site, cst.Call):
                for cls in classes.subclasses(value.cls) if value.cls is not None else ():
                    for binding in self._tree.scopes[cls].bindings.get(node.attr.value, ()):
                        if isinstance(binding.node, cst.FunctionDef):
                            yield binding.node

    def _methods(self) -> set[str]:
        if self._method_names is None:
            self._method_names = {
                function.name.value
                for function in self._tree.nodes(cst.FunctionDef)
                if self._evaluator.classes.of_method(function) is not None
            }
        return self._method_names

    # -- import --------------------------------------------------------------------------------

    def runs_at_import(self, node: cst.CSTNode) -> bool:
        """True for code that runs while a child imports the file: no function body, no guard."""
        if next(self.functions_around(node), None) is not None:
            return False
        scope = self._tree.function_of(node)
        if scope.kind not in (ScopeKind.MODULE, ScopeKind.CLASS):
            return False
        if self._conditions.runs(node, AT_RUN_TIME) is False:
            return False
        return not self._conditions.is_guarded(node)
