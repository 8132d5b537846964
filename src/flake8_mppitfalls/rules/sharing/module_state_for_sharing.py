"""MPP302."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.module_state import Side
from flake8_mppitfalls.model.values import Class, Constant, Container, Instance
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.changes import Change
    from flake8_mppitfalls.model.program import Program

_ASKING = frozenset("all any dict len list max min print repr set sorted str sum tuple".split())
"""Functions that read a container, and leave it as it is."""

_KEEPING = (cst.Assign, cst.AnnAssign, cst.NamedExpr, cst.Return, cst.Yield, cst.Element)
"""What gives a container another name, or hands it on."""


class ModuleStateForSharing(Rule):
    """A worker fills a list or dict of the module, and the parent reads its own.

    What it does:
        Finds a list, dict, set, deque, ``Counter`` or object of the module's classes, made at
        module level, that a worker function changes in place (by a method, ``x[k] = …``,
        ``x.attr = …``, ``x[k] += …``) and that code of the parent reads afterwards. The same for
        what a class of the module keeps for all its objects, changed by its name or ``cls``, and
        for a container that is made empty, given to workers as an argument and filled by them
        alone.

    Why it is bad:
        Every process has its own copy of the module and of all that it holds. The worker's
        change is made to the worker's copy; the parent's container stays as it was. There is no
        error: the list is just empty.

    Example:
        ::

            results = []

            def work(n):
                results.append(n * n)

            def main():
                with multiprocessing.Pool(4) as pool:
                    pool.map(work, range(10))
                print(results)  # []

    Use instead:
        ::

            def work(n):
                return n * n

            def main():
                with multiprocessing.Pool(4) as pool:
                    results = pool.map(work, range(10))
                print(results)

        or a list of a ``multiprocessing.Manager`` that is given to the worker.

    Known limits:
        Silent for a cache that only worker functions read, in initializers, for what a manager or
        ``multiprocessing`` itself shares, and where the file does not show what the name holds.

    References:
        Python documentation, ``multiprocessing``, "Sharing state between processes".
    """

    code = "MPP302"
    name = "module-state-for-sharing"
    message = (
        "this changes {name} in the worker process only: the parent reads its own {name}, which"
        " stays as it was; return the data from {function}, or share a list or dict of a Manager"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each change of the module's state in a worker that the parent never sees."""
        if not program.sides.entries():
            return
        for name in _variables(program):
            changes = list(_worker_changes(program, name))
            if not changes or not _is_shared_by_mistake(program, name):
                continue
            for change in changes:
                if _is_read(program, name, change):
                    yield self._found(program, change.node, name)
        for name, changes in _changes_of_given(program).items():
            if _is_waited_for(program, name):
                for change in changes:
                    yield self._found(program, change.node, name)
        for cls, name in _class_variables(program):
            reads = list(program.module_state.reads_of_class(cls, name))
            if _is_set_by_parent(program, reads):
                continue
            if any(_learns_from(program, read) for read in reads):
                for node in _changes_by_class(program, reads):
                    yield self._found(program, node, f"{cls.name.value}.{name}")

    def _found(self, program: Program, node: cst.CSTNode, name: str) -> Finding:
        worker = program.sides.worker_of(node)
        return self.finding(node, name=name, function=program.function_name(worker, "the task"))


def _variables(program: Program) -> Iterator[str]:
    """The names that the module itself binds to something, at import."""
    for name, bindings in program.tree.module_scope.bindings.items():
        if any(b.kind is Bound.ASSIGN and b.value is not None for b in bindings):
            yield name


def _worker_changes(program: Program, name: str) -> Iterator[Change]:
    sides = program.sides
    seen: set[cst.CSTNode] = set()
    for load in program.module_state.reads(name):
        if sides.worker_of(load) is None:
            continue
        for change in program.changes.of(load):
            if change.node in seen or sides.worker_of(change.node) is None:
                continue
            seen.add(change.node)
            if not any(f in sides.initializers for f in sides.functions_around(change.node)):
                yield change


def _is_shared_by_mistake(program: Program, name: str) -> bool:
    """Is everything that the name may hold of this process alone, and made at import?"""
    state = program.module_state
    writes = [write for write in state.writes(name) if write.binding.kind is not Bound.ANNOTATED]
    if not any(Side.IMPORT in write.side for write in writes):
        return False
    plain = program.changes.is_plain
    for write in writes:
        for value in program.evaluator.bound(write.binding):
            if not (plain(value) or (isinstance(value, Constant) and value.value is None)):
                return False
    return True


def _is_read(program: Program, name: str, change: Change) -> bool:
    """Does the parent read what the worker changes?"""
    changed = _changed_attributes(program, change)
    for load in program.module_state.parent_reads(name):
        if program.changes.is_only_changed(load):
            continue
        read = program.changes.read_at(load)
        if changed is None or read is None or changed & read:
            return True
    return False


def _empty_at_first(program: Program) -> Iterator[tuple[str, cst.CSTNode]]:
    """The names of the module that hold one container, made empty, and where it is made."""
    for name, bindings in program.tree.module_scope.bindings.items():
        made = bindings[0].value
        if len(bindings) > 1 or bindings[0].path or bindings[0].kind is not Bound.ASSIGN:
            continue
        if isinstance(made, (cst.List, cst.Dict)) and not made.elements:
            yield name, made
        elif isinstance(made, cst.Call) and not made.args:
            if any(isinstance(v, Container) for v in program.evaluator.bound(bindings[0])):
                yield name, made


def _changes_of_given(program: Program) -> dict[str, list[Change]]:
    """What workers put into an argument that is one of these containers, by its name."""
    names = {site: name for name, site in _empty_at_first(program)}
    found: dict[str, list[Change]] = {}
    sides = program.sides
    for function in sides.workers - sides.parents - sides.initializers if names else ():
        for bindings in program.tree.scopes[function].bindings.values():
            if bindings[0].kind is not Bound.PARAMETER:
                continue
            for load in program.tree.loads_of(bindings[0]):
                change = program.changes.at(load)
                for value in program.values(load) if change is not None else ():
                    if isinstance(value, Container) and value.site in names:
                        assert change is not None
                        found.setdefault(names[value.site], []).append(change)
    return found


def _is_waited_for(program: Program, name: str) -> bool:
    """Does the parent leave it to the workers to fill, and reads it when they are at work?"""
    own = [load for load in program.module_state.reads(name) if program.sides.is_parent_code(load)]
    later = set(program.module_state.parent_reads(name))
    asked = False
    for load in own:
        if _is_given_to_worker(program, load):
            continue
        if any(True for _ in program.changes.of(load)) or not _is_only_asked(program, load):
            return False
        asked = asked or load in later
    return asked


def _is_given_to_worker(program: Program, load: cst.Name) -> bool:
    return any(
        isinstance(parent, cst.Call) and program.task_of(parent) is not None
        for parent in program.tree.ancestors(load)
    )


def _is_only_asked(program: Program, load: cst.Name) -> bool:
    """False where code that is not seen, a thread or another name of it may fill it."""
    child: cst.CSTNode = load
    for parent in program.tree.ancestors(load):
        if isinstance(parent, _KEEPING) and child is load:
            return False
        if isinstance(parent, cst.Call) and child is not parent.func:
            if program.tree.qualified(parent.func) not in _ASKING and not _is_of_text(parent):
                return False
        if isinstance(parent, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            break
        child = parent
    return True


def _is_of_text(call: cst.Call) -> bool:
    """``", ".join(names)``"""
    return isinstance(call.func, cst.Attribute) and isinstance(call.func.value, cst.SimpleString)


def _class_variables(program: Program) -> Iterator[tuple[cst.ClassDef, str]]:
    """The containers and numbers that the bodies of the module's classes make for all objects."""
    for cls in program.tree.nodes(cst.ClassDef):
        if program.tree.scope_of(cls) is not program.tree.module_scope:
            continue
        for name, bindings in program.tree.scopes[cls].bindings.items():
            if program.evaluator.records.is_record(cls) or name not in program.tree.attributes:
                continue
            values = [v for b in bindings for v in program.evaluator.bound(b)]
            if values and all(
                program.changes.is_plain(v) or isinstance(v, Constant) for v in values
            ):
                yield cls, name


def _is_set_by_parent(program: Program, nodes: list[cst.Attribute]) -> bool:
    """Does the parent set it itself when work is under way: ``cls.monitor = process.pid``?"""
    return any(
        program.evaluator.classes.store_of(node) is not None
        and program.sides.is_parent_code(node)
        and program.module_state.follows_work(node)
        for node in nodes
    )


def _changes_by_class(program: Program, nodes: list[cst.Attribute]) -> Iterator[cst.CSTNode]:
    """What worker functions change through the class itself: ``cls.seen.add(x)``."""
    sides = program.sides
    for node in nodes:
        if not all(isinstance(v, Class) for v in program.values(node.value)):
            continue  # an object's: MPP306
        if sides.worker_of(node) is None:
            continue
        if any(f in sides.initializers for f in sides.functions_around(node)):
            continue
        if program.evaluator.classes.store_of(node) is not None:
            yield node
            continue
        change = program.changes.at(node)
        if change is not None:
            yield change.node


def _learns_from(program: Program, node: cst.Attribute) -> bool:
    """Does the parent read it when workers may have begun their work?"""
    if program.changes.is_only_changed(node) or not program.sides.is_parent_code(node):
        return False
    return program.module_state.follows_work(node)


def _changed_attributes(program: Program, change: Change) -> frozenset[str] | None:
    """The attributes of the module's object that a change touches; ``None`` where it has none."""
    if change.attribute:
        return frozenset({change.attribute})
    call = change.node
    if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
        for value in program.values(call.func.value):
            if isinstance(value, Instance):
                return program.changes.changed_by(value.cls, call.func.attr.value) or None
    return None
