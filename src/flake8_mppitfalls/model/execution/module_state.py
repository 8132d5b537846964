"""Module state: who binds, changes and reads the names of the module, and on which side.

Every process has a module of its own: what one side binds or changes, the other does not see.
"""

from __future__ import annotations

import enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.values import UNKNOWN, Constant, class_of
from flake8_mppitfalls.syntax.dataflow import always_passes
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Flow, Point
    from flake8_mppitfalls.syntax.scopes import Binding, Scope


class Side(enum.Flag):
    """Where a piece of code runs; several where it runs on several sides."""

    IMPORT = enum.auto()
    """While the module is imported: in the parent, and in each spawned child."""
    PARENT = enum.auto()
    """In the parent, apart from its import."""
    WORKER = enum.auto()
    INITIALIZER = enum.auto()


class Write(NamedTuple):
    """A place where a name of the module gets a value."""

    binding: Binding
    side: Side


class ModuleState:
    """Answers about the names of one module. Everything is found on demand."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._followed: dict[cst.CSTNode, bool] = {}
        self._bound_in: dict[str, dict[Scope, list[Binding]]] = {}
        self._writes: dict[str, list[Write]] = {}
        self._made_in_parent: dict[str, list[cst.Call]] = {}
        self._reads: dict[str, list[cst.Name]] = {}
        self._parent_reads: dict[str, list[cst.Name]] = {}
        self._read_by_workers: dict[tuple[str, bool], bool] = {}
        self._began: dict[Scope, set[Point]] = {}
        self._one_constant: dict[str, bool] = {}

    # -- sides ---------------------------------------------------------------------------------

    def side_of(self, node: cst.CSTNode) -> Side:
        """On which sides the code that holds ``node`` runs."""
        sides = self._program.sides
        functions = list(sides.functions_around(node))
        if not functions:
            return Side.IMPORT if sides.runs_at_import(node) else Side.PARENT
        found = Side(0)
        for function in functions:
            if function in sides.workers:
                found |= Side.WORKER
            if function in sides.initializers:
                found |= Side.INITIALIZER
            if function in self._run_at_import:
                found |= Side.IMPORT
            if function in self._run_at_arrival:
                found |= Side.WORKER
        if not found & (Side.WORKER | Side.INITIALIZER):
            found |= Side.PARENT
        return found

    @cached_property
    def _run_at_import(self) -> frozenset[cst.CSTNode]:
        """The functions that code at module level runs, outside of the guard."""
        runs = self._program.runs
        found: set[cst.CSTNode] = set()
        work = [self._tree.module]
        while work:
            for step in runs.steps(work.pop()):
                called = [f for f in step.functions if f not in found]
                if called and runs.at_import(step.node):
                    found.update(called)
                    work.extend(called)  # type: ignore[arg-type]
        return frozenset(found)

    @cached_property
    def _run_at_arrival(self) -> frozenset[cst.CSTNode]:
        """The functions that run where an object that crosses is made anew."""
        return self._program.sides.reach(
            function
            for function in self._tree.nodes(cst.FunctionDef)
            if function.name.value == "__setstate__"
        )

    # -- names ---------------------------------------------------------------------------------

    def bindings(self, name: str) -> list[Binding]:
        """All bindings of a name of the module, those through ``global`` too."""
        return self._tree.module_scope.bindings.get(name, [])

    def writes(self, name: str) -> list[Write]:
        """Where a name of the module gets a value, and on which side."""
        known = self._writes.get(name)
        if known is None:
            known = [Write(b, self.side_of(b.node)) for b in self.bindings(name)]
            self._writes[name] = known
        return known

    def bound_in(self, scope: Scope, name: str) -> list[Binding]:
        """The bindings of a name of the module that a function's own statements make."""
        known = self._bound_in.get(name)
        if known is None:
            known = self._bound_in[name] = {}
            for binding in self.bindings(name):
                owner = self._tree.function_of(binding.node)
                known.setdefault(owner, []).append(binding)
        return known.get(scope, [])

    def reads(self, name: str) -> list[cst.Name]:
        """The places that read a name of the module; ``x += 1`` and ``del x`` are none."""
        known = self._reads.get(name)
        if known is None:
            bindings = self.bindings(name)
            loads = self._tree.loads_of(bindings[0]) if bindings else []
            known = self._reads[name] = [load for load in loads if self._is_read(load)]
        return known

    def _is_read(self, load: cst.Name) -> bool:
        parent = self._tree.parent(load)
        if isinstance(parent, cst.AugAssign):
            return load is parent.value
        return not isinstance(parent, cst.Del)

    def parent_reads(self, name: str) -> list[cst.Name]:
        """The reads in parent code that come after workers have begun their work.

        A read of a value that the same function of the parent has bound since is none.
        """
        known = self._parent_reads.get(name)
        if known is None:
            sides = self._program.sides
            known = self._parent_reads[name] = [
                load
                for load in self.reads(name)
                if sides.is_parent_code(load)
                and self.follows_work(load)
                and not self._sees_own_value(load)
                and not self._may_be_of_worker(load)
            ]
        return known

    def _may_be_of_worker(self, load: cst.Name) -> bool:
        """Does a function read it that nobody here calls, and that a worker may call?

        That is so where workers read the name themselves, or call what they are given.
        """
        owner = self._program.paths.owner(load)
        if owner in self._shown_in_parent:
            return False
        return self._is_read_by_workers(load.value, self._is_registered(owner)) or (
            self._workers_call_what_they_are_given
        )

    def _is_read_by_workers(self, name: str, registered: bool) -> bool:
        """Do workers read the name; ``registered``: not only to change what it holds?"""
        key = (name, registered)
        known = self._read_by_workers.get(key)
        if known is None:
            workers = self._program.sides.workers
            known = self._read_by_workers[key] = any(
                not workers.isdisjoint(self._functions_around(read))
                and not (registered and self._program.changes.is_only_changed(read))
                for read in self.reads(name)
            )
        return known

    @cached_property
    def _workers_call_what_they_are_given(self) -> bool:
        return any(
            UNKNOWN in self._program.values(node.func)
            for worker in self._program.sides.workers
            for node in self._tree.walk(worker)
            if isinstance(node, cst.Call) and self._is_parameter(node.func)
        )

    def _is_registered(self, function: cst.CSTNode) -> bool:
        """``@app.route("/status")``: an object of the module calls it, where that is served."""
        return isinstance(function, cst.FunctionDef) and any(
            isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and isinstance(call.func.value, cst.Name)
            and any(
                b.kind is Bound.ASSIGN and isinstance(b.value, cst.Call)
                for b in self._tree.module_scope.bindings.get(call.func.value.value, ())
            )
            for call in (decorator.decorator for decorator in function.decorators)
        )

    @cached_property
    def _shown_in_parent(self) -> frozenset[cst.CSTNode]:
        """The module, what hands out work, and what these call."""
        functions = self._tree.nodes(cst.FunctionDef)
        return self._program.sides.reach(
            [self._tree.module, *(f for f in functions if self.work.of(f))]
        )

    def _functions_around(self, node: cst.CSTNode) -> set[cst.CSTNode]:
        return set(self._program.sides.functions_around(node))

    def _is_parameter(self, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Name) and any(
            binding.kind is Bound.PARAMETER for binding in self._tree.lookup(node)
        )

    def first_worker_reads(self, name: str, attribute: str = "") -> list[cst.Name]:
        """The first read of a name of the module (or of its attribute) in each worker function."""
        found: dict[cst.CSTNode, cst.Name] = {}
        sides = self._program.sides
        for load in self.reads(name):
            workers = [f for f in sides.functions_around(load) if f in sides.workers]
            if workers and self._reads_attribute(load, attribute):
                found.setdefault(workers[-1], load)
        return list(found.values())

    def reads_of_class(self, cls: cst.ClassDef, name: str) -> Iterator[cst.Attribute]:
        """The reads of a class's attribute, by the class or by its instances."""
        classes = self._program.evaluator.classes
        family = {cls, *classes.subclasses(cls)}
        for node in self._tree.attributes.get(name, ()):
            for value in self._program.values(node.value):
                if class_of(value) in family:
                    yield node
                    break

    def is_used_in_parent(self, name: str, attribute: str = "") -> bool:
        """Does code that only the parent runs read the name, apart from the import?"""
        return any(
            self.side_of(load) & Side.PARENT
            for load in self.reads(name)
            if self._reads_attribute(load, attribute)
        )

    def _reads_attribute(self, load: cst.Name, attribute: str) -> bool:
        parent = self._tree.parent(load)
        return not attribute or (
            isinstance(parent, cst.Attribute) and parent.attr.value == attribute
        )

    # -- order ---------------------------------------------------------------------------------

    @cached_property
    def work(self) -> Effect[cst.CSTNode]:
        """What hands work to another process: tasks, processes made or started."""
        runs = self._program.runs
        return Effect(runs, self._handed_over, runs.in_program)

    def _handed_over(self, step: Step) -> Iterator[cst.CSTNode]:
        if step.entered or not isinstance(step.node, cst.Call):
            return
        task = self._program.task_of(step.node)
        if task is not None:
            if task.in_processes and task.shape.role in ("task", "process"):
                yield step.node
        elif any(start.kind is api.Kind.PROCESS for start in self._program.starts.direct(step)):
            yield step.node

    def follows_work(self, node: cst.CSTNode, made: Collection[cst.CSTNode] = ()) -> bool:
        """True if workers may have begun their work when the parent comes to ``node``.

        With ``made``, the places where an object is made: only since then.
        """
        if made:
            return self._follows(node, made)
        if node not in self._followed:
            self._followed[node] = self._follows(node, made)
        return self._followed[node]

    def _follows(self, node: cst.CSTNode, made: Collection[cst.CSTNode]) -> bool:
        paths = self._program.paths
        is_made = (lambda step: step.node in made) if made else None
        if paths.first_before(node, self.work.at, is_made):
            return True
        return self._is_open(paths.owner(node), set())

    def _is_open(self, function: cst.CSTNode, seen: set[cst.CSTNode]) -> bool:
        """Is a function called from where this module does not show what came before?"""
        if function is self._tree.module or function in seen:
            return False
        seen.add(function)
        callers = self._program.runs.callers(function)
        if not callers or self._program.references.is_given_away(function):
            return not self.work.of(function) and not self._is_unused(function)
        return any(self._is_open(caller.owner, seen) for caller in callers)

    def _is_unused(self, function: cst.CSTNode) -> bool:
        """A function of a script that nothing there names: nobody calls it."""
        if not self._program.guards or self._program.references.of(function):
            return False
        return self._tree.scope_of(function).kind is ScopeKind.MODULE and not getattr(
            function, "decorators", ()
        )

    def _where_workers_begin(self, flow: Flow) -> set[Point]:
        """The points of a scope at which tasks are handed out."""
        known = self._began.get(flow.scope)
        if known is None:
            known = self._began[flow.scope] = {
                point
                for step in self._program.runs.steps(flow.scope.node)
                if self.work.at(step)
                for point in flow.points_of(step.node)
            }
        return known

    def _sees_own_value(self, load: cst.Name) -> bool:
        """Has the code that reads the name always bound it itself since workers began?"""
        scope = self._tree.function_of(load)
        bindings = self.bound_in(scope, load.value)
        if not bindings:
            return False
        flow = self._program.names.flow(scope)
        if not flow.complete:
            return False
        stores = {point for b in bindings for point in flow.points_of(b.node)}
        began = self._where_workers_begin(flow)
        return always_passes(flow, flow.points_of(load), stores, undone_at=began)

    # -- values --------------------------------------------------------------------------------

    def is_part_of_parameter(self, node: cst.CSTNode | None) -> bool:
        """True for a parameter as it was given, a part of it, or a name for one of these."""
        origins = self._origins(node)
        return bool(origins) and None not in origins

    def is_given(self, binding: Binding) -> bool:
        """True if a binding names what a worker was given, or a part of it, and nothing else.

        The parameter of a function that workers alone call counts as what they give for it.
        """
        return self._is_given(binding, set())

    def _is_given(self, binding: Binding, seen: set[Binding]) -> bool:
        if binding.kind is Bound.PARAMETER:
            if binding in seen:
                return True
            seen.add(binding)
            return all(self._is_of_given(one, seen) for one in self._given_by_workers(binding))
        return binding.kind is Bound.ASSIGN and self._is_of_given(binding.value, seen)

    def _is_of_given(self, node: cst.CSTNode | None, seen: set[Binding]) -> bool:
        origins = self._origins(node)
        return bool(origins) and all(o is not None and self._is_given(o, seen) for o in origins)

    def _given_by_workers(self, parameter: Binding) -> list[cst.BaseExpression]:
        """What is given for the parameter of a function that nothing but workers' code calls."""
        function, references = parameter.scope.node, self._program.references
        if any(entry.function is function for entry in self._program.sides.entries()):
            return []
        if references.is_given_away(function) or not isinstance(parameter.node, cst.Param):
            return []
        if any(self.side_of(use.node) != Side.WORKER for use in references.of(function)):
            return []
        given = references.arguments_for(function, parameter.node)
        return [one.expression for one in given if not one.path]

    def _origins(self, node: cst.CSTNode | None) -> set[Binding | None]:
        """The parameters that an expression is, or is a part of; ``None`` for anything else."""
        found: set[Binding | None] = set()
        seen: set[Binding] = set()
        work = [node]
        while work and None not in found:
            name = _whole(work.pop())
            bindings = self._program.names.bindings(name) if name is not None else ()
            if not bindings:
                found.add(None)
            for binding in bindings:
                if binding.kind is Bound.PARAMETER:
                    found.add(binding)
                elif binding.kind is not Bound.ASSIGN:
                    found.add(None)
                elif binding not in seen:
                    seen.add(binding)
                    work.append(binding.value)
        return found

    def is_one_constant(self, name: str) -> bool:
        """Does all that binds the name give it the same constant, as when it is put back?"""
        known = self._one_constant.get(name)
        if known is None:
            known = self._one_constant[name] = self._is_one_constant(name)
        return known

    def _is_one_constant(self, name: str) -> bool:
        given = {
            (type(value.value), value.value) if isinstance(value, Constant) else None
            for binding in self.bindings(name)
            for value in self._program.values(
                binding.value if binding.kind is Bound.ASSIGN and not binding.path else None
            )
            or (UNKNOWN,)
        }
        return len(given) == 1 and None not in given

    def is_made_alike_in_parent(self, binding: Binding) -> bool:
        """Does the parent make one for itself, too, as in ``log = Logger(queue)``?"""
        behind = self._program.names.behind
        made = behind(binding.value)
        if not isinstance(made, cst.Call):
            return False
        others = self._made_in_parent.get(binding.name)
        if others is None:
            others = self._made_in_parent[binding.name] = [
                other
                for write in self.writes(binding.name)
                if write.side is Side.PARENT
                and isinstance(other := behind(write.binding.value), cst.Call)
            ]
        return any(other.func.deep_equals(made.func) for other in others)


def _whole(node: cst.CSTNode | None) -> cst.Name | None:
    """The name that an expression is a part of: ``x`` of ``x[0].path`` and ``x.get("path")``."""
    while True:
        if isinstance(node, (cst.Subscript, cst.Attribute)):
            node = node.value
        elif (
            isinstance(node, cst.Call)
            and isinstance(node.func, cst.Attribute)
            and node.func.attr.value == "get"
        ):
            node = node.func.value
        else:
            return node if isinstance(node, cst.Name) else None
