"""MPP309."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.concurrency import SEVERAL
from flake8_mppitfalls.model.execution.module_state import Side
from flake8_mppitfalls.model.values import Constant, Container, Instance, Made, with_article
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Values

_PRIMITIVES = api.SHARED_BY_INHERITANCE | {api.Kind.CONNECTION}
_AMONG_WORKERS = frozenset(
    {api.Kind.LOCK, api.Kind.SEMAPHORE, api.Kind.CONDITION, api.Kind.BARRIER}
)
"""What is of no use to one process alone."""
_MAKING = (cst.Call, cst.List, cst.Dict, cst.Tuple, cst.ListComp, cst.DictComp)


class ModuleLevelPrimitive(Rule):
    """A worker uses a Value, queue or lock that the module makes at its import.

    What it does:
        Finds a ``Value``, ``Array``, lock, event, queue, pipe end or the like, made at module level
        outside of the guard, that a worker function uses as a global, where the parent uses it,
        too; for a lock or semaphore it is enough that several workers use it.

    Why it is bad:
        Under ``spawn`` and ``forkserver`` each process imports the module, and so makes one of its
        own. The worker counts in its own ``Value``, the parent's stays 0; what goes into the
        queue never comes out; the lock guards nothing. Under ``fork`` it works, so it shows on
        other systems only, and with Python 3.14, where ``forkserver`` is the default.

    Example:
        ::

            counter = multiprocessing.Value("i", 0)

            def work(item):
                with counter.get_lock():
                    counter.value += 1

            def main():
                with multiprocessing.Pool() as pool:
                    pool.map(work, range(10))
                print(counter.value)  # 0

    Use instead:
        ::

            def keep(shared):
                global counter
                counter = shared

            def main():
                counter = multiprocessing.Value("i", 0)
                with multiprocessing.Pool(initializer=keep, initargs=(counter,)) as pool:
                    pool.map(work, range(10))
                print(counter.value)

    Known limits:
        Silent where an initializer or the worker binds the name anew, and where ``fork`` is all
        that is configured or pinned.

    References:
        Python documentation, ``multiprocessing``, "Programming guidelines", "Explicitly pass
        resources to child processes".
    """

    code = "MPP309"
    name = "module-level-primitive"
    message = (
        "{name} ({what}) is made anew in each spawned process: {function} uses one that is {whose};"
        " hand it to the process as an argument, or to the pool by its initializer"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the first use in each worker function of what is made at import."""
        if program.is_main_file or not _PRIMITIVES.intersection(_kinds(program)):
            return
        if not program.sides.entries():
            return
        names = {name: _made_at_import(program, name) for name in _candidates(program)}
        called: dict[cst.CSTNode, list[tuple[str, str]]] = {}
        for name, things in names.items():
            for attribute, made in things.items():
                called.setdefault(made.site, []).append((name, attribute))
        for name, things in names.items():
            for attribute, made in things.items():
                yield from self._of(program, name, attribute, made, called[made.site])
        yield from self._of_classes(program)

    def _of(
        self,
        program: Program,
        name: str,
        attribute: str,
        made: Made,
        called: list[tuple[str, str]],
    ) -> Iterator[Finding]:
        """``called`` are the names and attributes that the thing goes by."""
        state = program.module_state
        first = state.first_worker_reads(name, attribute)
        in_parent = any(
            state.is_used_in_parent(other, its)
            for other, its in called
            if other != name or its == attribute
        )
        what = f"{name}.{attribute}" if attribute else name
        yield from self._found(program, what, made, first, state.reads(name), in_parent)

    def _of_classes(self, program: Program) -> Iterator[Finding]:
        """What the body of a class makes: ``class Worker(Process): count = Value("i")``."""
        for cls in program.tree.nodes(cst.ClassDef):
            if program.tree.scope_of(cls) is not program.tree.module_scope:
                continue
            for name, bindings in program.tree.scopes[cls].bindings.items():
                if not all(isinstance(b.value, _MAKING) for b in bindings):
                    continue
                made = _primitive(program.evaluator.bound(bindings[0]))
                if made is None or program.evaluator.members.stores(cls, name):
                    continue
                reads = list(program.module_state.reads_of_class(cls, name))
                first: dict[cst.CSTNode | None, cst.CSTNode] = {}
                for node in reads:
                    first.setdefault(program.sides.worker_of(node), node)
                first.pop(None, None)
                in_parent = any(program.module_state.side_of(n) & Side.PARENT for n in reads)
                what = f"{cls.name.value}.{name}"
                yield from self._found(program, what, made, first.values(), reads, in_parent)

    def _found(
        self,
        program: Program,
        name: str,
        made: Made,
        first: Iterable[cst.CSTNode],
        reads: Iterable[cst.CSTNode],
        in_parent: bool,
    ) -> Iterator[Finding]:
        first = [node for node in first if _may_be_spawned(program, node)]
        if not first:
            return
        if not in_parent and not (
            made.kind in _AMONG_WORKERS and _is_used_by_several(program, reads)
        ):
            return
        what = "pipe end" if made.kind is api.Kind.CONNECTION else made.name
        for node in first:
            worker = program.sides.worker_of(node)
            yield self.finding(
                node,
                name=name,
                what=with_article(what),
                function=program.function_name(worker, "the task"),
                whose="not the parent's" if in_parent else "not the other workers'",
            )


def _kinds(program: Program) -> set[api.Kind]:
    kinds = set(program.made)
    return kinds | {api.Kind.CONNECTION} if api.Kind.PIPE in kinds else kinds


def _candidates(program: Program) -> Iterator[str]:
    """The names that the module binds to something that is made."""
    for name, bindings in program.tree.module_scope.bindings.items():
        if any(b.kind is Bound.ASSIGN and isinstance(b.value, _MAKING) for b in bindings):
            yield name


def _made_at_import(program: Program, name: str) -> dict[str, Made]:
    """The primitives that a name of the module holds in each process: by attribute, or itself."""
    found: dict[str, Made] = {}
    for write in program.module_state.writes(name):
        if write.side & (Side.WORKER | Side.INITIALIZER):
            return {}  # handed over under the same name
        if write.side is not Side.IMPORT:
            continue
        for value in program.evaluator.bound(write.binding):
            if isinstance(value, Container):
                held = program.evaluator.containers.elements((value,))
                made = _primitive(held)
                if made is not None:
                    found.setdefault("", made)
            elif isinstance(value, Instance):
                found.update(_attributes(program, name))
            else:
                made = _primitive((value,))
                if made is not None:
                    found.setdefault("", made)
    return found


def _attributes(program: Program, name: str) -> Iterator[tuple[str, Made]]:
    """``state.count`` for an object of the module that keeps a ``Value`` in an attribute."""
    for load in program.module_state.reads(name):
        attribute = program.tree.parent(load)
        if isinstance(attribute, cst.Attribute):
            made = _primitive(program.values(attribute))
            if made is not None:
                yield attribute.attr.value, made


def _primitive(values: Values) -> Made | None:
    """The one that all values are; none where one of them may be something else."""
    found: Made | None = None
    for value in values:
        if isinstance(value, Constant) and value.value is None:
            continue
        if not isinstance(value, Made) or value.kind not in _PRIMITIVES or value.is_declared:
            return None
        found = found or value
    return found


def _may_be_spawned(program: Program, node: cst.CSTNode) -> bool:
    """May the process that comes to ``node`` be a spawned one?"""
    return any(
        program.start_methods.spawns(*program.sides.processes(entry))
        for entry in program.concurrency.entries_at(node)
    )


def _is_used_by_several(program: Program, reads: Iterable[cst.CSTNode]) -> bool:
    entries = {entry: None for node in reads for entry in program.concurrency.entries_at(node)}
    return program.concurrency.total(entries) >= SEVERAL
