"""Parent state: names of the module that only the parent gives a value."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.containers import ADDING, MERGING
from flake8_mppitfalls.model.execution.caught import is_taken
from flake8_mppitfalls.model.execution.module_state import Side
from flake8_mppitfalls.model.sharing.connections import Connected, connected
from flake8_mppitfalls.model.values import Constant, Container, Made, Result
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value, Values
    from flake8_mppitfalls.syntax.scopes import Binding

_PLACEHOLDERS = (None, 0, "", b"", ...)
_FILLING = ADDING | MERGING | {"__setitem__"}
_KNOWN_MODULES = frozenset({"multiprocessing", "concurrent.futures"})
"""A star import of these gives the names of the process API, and no others."""
_NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})


class Given(NamedTuple):
    """How the parent gives a name its value, and what a spawned worker sees of it."""

    where: str
    sees: str


class ParentState:
    """Answers about the names of one module that spawned workers read."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._state = program.module_state
        self._known: dict[str, Given | None] = {}
        self._functions_asking: dict[str, frozenset[cst.CSTNode | None]] = {}

    @cached_property
    def workers(self) -> frozenset[cst.CSTNode]:
        """The functions that run in workers which are not forked for sure, however deep."""
        entries = self._program.sides.entries()
        return self._program.sides.reach(e.function for e in entries if self._is_spawned(e))

    def _is_spawned(self, entry: Entry) -> bool:
        """Entries that the child finds: local functions it does not (MPP202)."""
        program = self._program
        if program.tree.function_of(entry.function).is_function:
            return False
        if isinstance(entry.function, cst.Lambda):
            return False
        receivers: tuple[Made, ...] = ()
        if entry.task is not None:
            receivers = entry.task.receivers
        else:
            cls = program.evaluator.classes.of_method(entry.function)
            made = program.evaluator.instance(cls, None) if cls is not None else None
            receivers = (made,) if isinstance(made, Made) else ()
        if any(made.flavour == "multiprocess" for made in receivers):
            return False  # dill may send what a function refers to
        return program.start_methods.spawns(*receivers)

    @cached_property
    def _forks(self) -> bool:
        entries = self._program.sides.entries()
        return any(
            self._program.start_methods.forks(*e.task.receivers)
            for e in entries
            if e.task is not None
        )

    def given_by_parent(self, name: str) -> Given | None:
        """How only the parent gives ``name`` its value; ``None`` where others may."""
        if name not in self._known:
            self._known[name] = self._given(name)
        return self._known[name]

    def _given(self, name: str) -> Given | None:
        if self._is_bound_out_of_sight or name in self._filled_by_mistake:
            return None
        imported: list[Binding] = []
        parents: list[Binding] = []
        for binding, side in self._state.writes(name):
            if not self._program.runs.happens(binding.node) or binding.kind is Bound.ANNOTATED:
                continue
            if side & (Side.WORKER | Side.INITIALIZER):
                return None
            (imported if side & Side.IMPORT else parents).append(binding)
        if self._forks and any(self._is_connection(name, binding) for binding in parents):
            return None  # MPP310
        if not imported and not _KNOWN_MODULES.issuperset(self._tree.star_imports):
            return None
        placeholder = all(self._is_placeholder(binding) for binding in imported)
        if not placeholder:
            if not all(self._is_constant(binding) for binding in imported):
                return None
            parents = [b for b in parents if self._tree.function_of(b.node).is_function]
            givers = [b.node for b in parents if self._is_called(b.node)]
        else:
            fills = self._fills(name) if imported else []
            if fills is None:
                return None
            givers = [binding.node for binding in parents] + fills
        for giver in givers:
            if self._comes_before_work(giver):
                return Given(self._where(giver), self._sees(imported))
        return None

    def is_settled(self, name: str) -> bool:
        """True for the function, class or import that a name of the module simply is."""
        bindings = self._state.bindings(name)
        return (
            len(bindings) == 1
            and bindings[0].kind in (Bound.FUNCTION, Bound.CLASS, Bound.IMPORT)
            and not self._tree.function_of(bindings[0].node).is_function
            and not self._program.conditions.is_guarded(bindings[0].node)
        )

    # -- who gives -----------------------------------------------------------------------------

    @cached_property
    def _is_bound_out_of_sight(self) -> bool:
        """``globals()["name"] = …`` and ``exec`` anywhere but in parent code."""
        return any(
            self._state.side_of(call) != Side.PARENT
            for name in ("globals", "exec")
            for call in self._tree.calls_of.get(name, ())
            if isinstance(call.func, cst.Name) and not self._is_only_asked(call)
        )

    def _is_only_asked(self, call: cst.Call) -> bool:
        return isinstance(self._tree.parent(call), (cst.ComparisonTarget, cst.Comparison))

    @cached_property
    def _filled_by_mistake(self) -> frozenset[str]:
        """What ``initializer=set_up(x)`` binds or fills, called in the parent: MPP702's."""
        program = self._program
        found: set[str] = set()
        for task in program.tasks:
            call = task.callable
            if not isinstance(call, cst.Call) or program.sides.functions(program.values(call)):
                continue
            for function in program.sides.reach(program.sides.functions(program.values(call.func))):
                scope = self._tree.scopes[function]
                found |= scope.global_names
                for node in self._tree.walk(function):
                    if isinstance(node, cst.Name) and self._is_fill(node):
                        found.add(node.value)
        return frozenset(found)

    def _fills(self, name: str) -> list[cst.CSTNode] | None:
        """Where parent code fills the container in place; ``None`` where others do."""
        found: list[cst.CSTNode] = []
        for load in self._state.reads(name):
            if not self._is_fill(load):
                continue
            if self._state.side_of(load) != Side.PARENT:
                return None
            found.append(load)
        return found

    def _is_fill(self, load: cst.Name) -> bool:
        """``X[k] = v``, ``X.append(v)``, ``X[k].append(v)``, ``X.attribute = v``."""
        node: cst.CSTNode = load
        parent = self._tree.parent(node)
        while isinstance(parent, cst.Subscript) and parent.value is node:
            node, parent = parent, self._tree.parent(parent)
        if node is not load and isinstance(parent, (cst.AssignTarget, cst.AugAssign)):
            return not isinstance(parent, cst.AugAssign) or parent.target is node
        if not isinstance(parent, cst.Attribute) or parent.value is not node:
            return False
        call = self._tree.parent(parent)
        if isinstance(call, cst.Call) and call.func is parent:
            return parent.attr.value in _FILLING
        return self._program.evaluator.classes.store_of(parent) is not None

    def _is_placeholder(self, binding: Binding) -> bool:
        if binding.kind not in (Bound.ASSIGN, Bound.OTHER):
            return False
        values = self._at_import(binding)
        return bool(values) and all(_is_empty(value) for value in values)

    def _is_constant(self, binding: Binding) -> bool:
        values = self._at_import(binding)
        return binding.kind is Bound.ASSIGN and all(isinstance(v, Constant) for v in values)

    def _at_import(self, binding: Binding) -> Values:
        """What the import gives a name, whatever its annotation says it will be."""
        evaluator = self._program.evaluator
        if binding.annotation is not None and binding.value is not None:
            return evaluator.values(binding.value)
        return evaluator.bound(binding)

    def _is_connection(self, name: str, binding: Binding) -> bool:
        """A connection, or an engine that the parent uses: MPP310 speaks of these."""
        program = self._program
        kinds = {connected(program, value) for value in program.evaluator.bound(binding)} - {None}
        if kinds == {Connected.ENGINE}:
            return any(program.sides.is_parent_code(load) for load in self._state.reads(name))
        return bool(kinds)

    # -- when ----------------------------------------------------------------------------------

    def _comes_before_work(self, giver: cst.CSTNode) -> bool:
        """True if processes get started, or get work, after the value was given."""
        program = self._program
        if not self._is_called(giver):
            return True
        return program.paths.leads_to(
            giver,
            lambda step: bool(self._state.work.at(step) or program.starts.in_program.at(step)),
        )

    def _is_called(self, giver: cst.CSTNode) -> bool:
        """Is the code that gives the value run by this module itself?"""
        owner = self._program.paths.owner(giver)
        return owner is self._tree.module or bool(self._program.runs.callers(owner))

    # -- what is seen --------------------------------------------------------------------------

    def gets_along_without(self, load: cst.Name) -> bool:
        """Does the function ask whether the name is ``None``, and do without, or take the error?"""
        if is_taken(self._tree, load, "NameError"):
            return True
        function = next(self._program.sides.functions_around(load), None)
        return function in self._asking(load.value)

    def _asking(self, name: str) -> frozenset[cst.CSTNode | None]:
        """The functions that compare the name with ``None``, and go on where it is."""
        known = self._functions_asking.get(name)
        if known is None:
            found: set[cst.CSTNode | None] = set()
            for load in self._state.reads(name):
                comparison = self._tree.parent(load)
                if isinstance(comparison, cst.Comparison) and self._is_none_test(comparison):
                    if not self._raises_without(comparison):
                        found.update(self._program.sides.functions_around(load))
            known = self._functions_asking[name] = frozenset(found)
        return known

    def _is_none_test(self, comparison: cst.Comparison) -> bool:
        return any(
            isinstance(target.comparator, cst.Name) and target.comparator.value == "None"
            for target in comparison.comparisons
        )

    def _raises_without(self, comparison: cst.Comparison) -> bool:
        parent = self._tree.parent(comparison)
        if isinstance(parent, cst.Assert):
            return True
        return isinstance(parent, cst.If) and any(
            isinstance(node, cst.Raise) for node in self._tree.walk(parent.body)
        )

    def _where(self, giver: cst.CSTNode) -> str:
        owner = self._program.paths.owner(giver)
        if isinstance(owner, cst.FunctionDef):
            return f"in {owner.name.value}()"
        return "under the main guard"

    def _sees(self, imported: list[Binding]) -> str:
        if not imported:
            return "fails with NameError"
        if all(self._is_placeholder(binding) for binding in imported):
            for value in self._at_import(imported[-1]):
                if isinstance(value, Constant) and value.value is None:
                    return "sees None"
            return "sees only the placeholder"
        return "sees the value that the import gave it"


def _is_empty(value: Value) -> bool:
    """``None``, 0, an empty text or container: not a value to work with."""
    if isinstance(value, Constant):
        return any(value.value is p or value.value == p for p in _PLACEHOLDERS)
    if isinstance(value, Container):
        site = value.site
        if isinstance(site, (cst.List, cst.Tuple, cst.Set, cst.Dict)):
            return not site.elements
        return isinstance(site, cst.Call) and _makes_empty(site)
    if isinstance(value, Result):
        return (
            value.name in _NAMESPACES and isinstance(value.site, cst.Call) and not value.site.args
        )
    return False


def _makes_empty(call: cst.Call) -> bool:
    """``dict()``, ``defaultdict(list)``, ``deque(maxlen=3)``."""
    positional = [arg for arg in call.args if arg.keyword is None]
    func = call.func
    name = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
    if any(arg.keyword is not None and arg.keyword.value != "maxlen" for arg in call.args):
        return False
    return len(positional) <= (1 if name == "defaultdict" else 0)
