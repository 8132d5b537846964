"""MPP305."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.module_state import Side
from flake8_mppitfalls.model.pickling.parts import Parts
from flake8_mppitfalls.model.pickling.picklable import RESULTS
from flake8_mppitfalls.model.values import Container, Made, Result
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_OF_THREADS = frozenset(name for name, refused in RESULTS.items() if refused.thread)
_OF_COROUTINES = frozenset(
    f"asyncio.{name}"
    for name in (
        "Lock Event Condition Semaphore BoundedSemaphore Barrier Queue LifoQueue PriorityQueue"
    ).split()
)
_INSTEAD = {
    "LifoQueue": "Queue",
    "PriorityQueue": "Queue",
}
_OWN_PICKLING = ("__getstate__", "__reduce__", "__reduce_ex__")


class ThreadPrimitiveAcrossProcesses(Rule):
    """A queue, lock or event of threads is used between processes.

    What it does:
        Finds a queue of ``queue``, a primitive of ``threading`` or one of ``asyncio`` that is
        given to a ``Process``, set in the ``__init__`` of a ``Process`` subclass, or used as a
        global by a worker function and by the parent.

    Why it is bad:
        These work inside one process. Under ``fork`` the child has a copy: what one side puts into
        the queue never comes out on the other, the event is never set, and the lock guards
        nothing. Under ``spawn`` and ``forkserver`` the process can't be started with one::

            TypeError: cannot pickle '_thread.lock' object

        and as a global it is made anew in each process. Those of ``asyncio`` can be pickled, and
        are unrelated copies always.

    Example:
        ::

            results = queue.Queue()
            process = multiprocessing.Process(target=work, args=(results,))
            process.start()
            print(results.get())

    Use instead:
        ::

            results = multiprocessing.Queue()
            process = multiprocessing.Process(target=work, args=(results,))
            process.start()
            print(results.get())

    Known limits:
        What a pool's task gets is MPP203's matter. A global that only workers use, or only the
        parent, is none of this rule's.

    References:
        Python documentation, ``multiprocessing``, "Exchanging objects between processes" and
        "Synchronization between processes".
    """

    code = "MPP305"
    name = "thread-primitive-across-processes"
    message = (
        "{what} works inside one process only: {process} {has} one of its own, unrelated to the"
        " parent's{or_fails}; use multiprocessing.{instead}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each argument, attribute and global that threads alone can share."""
        if not program.sides.entries() and not program.made.get(api.Kind.PROCESS):
            return
        yield from self._arguments(program)
        yield from self._attributes(program)
        yield from self._globals(program)
        yield from self._class_attributes(program)

    def _arguments(self, program: Program) -> Iterator[Finding]:
        parts = Parts(program.evaluator)
        for task in program.tasks:
            if task.shape.role != "process" or not task.in_processes:
                continue
            seen: set[cst.CSTNode] = set()
            for part in parts.of(task):
                name = _primitive((part.value,))
                if name and _is_one_of_two(program, task, part.node):
                    continue
                if name and part.node not in seen:
                    seen.add(part.node)
                    yield self._found(
                        program,
                        part.node,
                        name,
                        "the process",
                        spawns=program.start_methods.spawns(*task.receivers),
                    )

    def _attributes(self, program: Program) -> Iterator[Finding]:
        classes = program.evaluator.classes
        for cls in program.tree.nodes(cst.ClassDef):
            maker = classes.maker(cls)
            if maker is None or maker.makes is not api.Kind.PROCESS:
                continue
            if any(classes.method(cls, name) is not None for name in _OWN_PICKLING):
                continue
            own = program.evaluator.instance(cls, None)
            spawns = isinstance(own, Made) and program.start_methods.spawns(own)
            for store in _set_by_constructor(program, cls):
                name = _primitive(program.evaluator.stored(store))
                if not name:
                    continue
                fails = spawns and name in _OF_THREADS
                if fails or _is_shared(program, store):
                    yield self._found(program, store.node, name, cls.name.value, spawns=spawns)

    def _globals(self, program: Program) -> Iterator[Finding]:
        state = program.module_state
        for name, bindings in program.tree.module_scope.bindings.items():
            values = [b.value for b in bindings if b.kind is Bound.ASSIGN and b.value is not None]
            if not any(isinstance(value, _MAKING) for value in values):
                continue
            primitive = _primitive_of_all(program, name)
            if not primitive or not state.is_used_in_parent(name):
                continue
            for load in state.first_worker_reads(name):
                yield self._found(program, load, primitive, "each worker", spawns=False)

    def _class_attributes(self, program: Program) -> Iterator[Finding]:
        """What the body of a class makes: a global by another name."""
        state = program.module_state
        for cls in program.tree.nodes(cst.ClassDef):
            for name, bindings in program.tree.scopes[cls].bindings.items():
                if len(bindings) != 1 or not isinstance(bindings[0].value, cst.Call):
                    continue
                primitive = _primitive(program.evaluator.bound(bindings[0]))
                if not primitive or program.evaluator.members.stores(cls, name):
                    continue
                reads = list(state.reads_of_class(cls, name))
                if not any(state.side_of(node) & Side.PARENT for node in reads):
                    continue
                first: dict[cst.CSTNode, cst.CSTNode] = {}
                for node in reads:
                    worker = program.sides.worker_of(node)
                    if worker is not None:
                        first.setdefault(worker, node)
                for place in first.values():
                    yield self._found(program, place, primitive, "each worker", spawns=False)

    def _found(
        self, program: Program, node: cst.CSTNode, name: str, process: str, *, spawns: bool
    ) -> Finding:
        short = name.rpartition(".")[2]
        fails = spawns and name in _OF_THREADS
        text = program.source(node, "", 30)
        return self.finding(
            node,
            what=f"{text} ({name})" if text and not text.startswith(name) else name,
            process=process,
            has="has",
            or_fails=", or can't be started with it under spawn" if fails else "",
            instead=_INSTEAD.get(short, short),
        )


_MAKING = (cst.Call, cst.List, cst.Dict, cst.Tuple, cst.ListComp, cst.DictComp)


def _is_one_of_two(program: Program, task: Task, node: cst.CSTNode) -> bool:
    """May it be a primitive of processes, where a forked child, or a thread, gets the other?"""
    if not any(isinstance(value, Made) for value in program.values(node)):
        return False
    chosen = len(program.values(task.call.func)) > 1
    return chosen or not program.start_methods.spawns(*task.receivers)


def _primitive(values: Iterable[Value]) -> str:
    """The name of a primitive that one of the values is."""
    for value in values:
        if isinstance(value, Result) and value.name in _OF_THREADS | _OF_COROUTINES:
            return value.name
    return ""


def _primitive_of_all(program: Program, name: str) -> str:
    """The primitive that a name of the module is, or that its list or dict holds, at any time."""
    found = ""
    for binding in program.module_state.bindings(name):
        if binding.kind is Bound.ANNOTATED:
            continue
        values = program.evaluator.bound(binding)
        if any(isinstance(value, Container) for value in values):
            values = program.evaluator.containers.elements(values)
        primitive = _primitive(values)
        if not primitive or not all(isinstance(value, Result) for value in values):
            return ""
        found = found or primitive
    return found


def _set_by_constructor(program: Program, cls: cst.ClassDef) -> Iterator[Store]:
    """The assignments to ``self.x`` in the ``__init__`` of the class itself."""
    classes = program.evaluator.classes
    for binding in program.tree.scopes[cls].bindings.get("__init__", ()):
        if not isinstance(binding.node, cst.FunctionDef):
            continue
        for node in program.tree.walk(binding.node):
            if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name):
                store = classes.store_of(node)
                if store is not None and store.value is not None:
                    if any(
                        isinstance(v, Made) and v.cls is cls for v in program.values(node.value)
                    ):
                        yield store


def _is_shared(program: Program, store: Store) -> bool:
    """Is the attribute read in the child, and does the parent read it or hand it over?"""
    classes = program.evaluator.classes
    name = store.node.attr.value
    sides = program.sides
    family = {
        c
        for value in program.values(store.node.value)
        if isinstance(value, Made) and value.cls is not None
        for c in (*classes.mro(value.cls), *classes.subclasses(value.cls))
    }
    in_child = in_parent = False
    for node in program.tree.attributes.get(name, ()):
        if classes.store_of(node) is not None:
            continue
        if any(isinstance(v, Made) and v.cls in family for v in program.values(node.value)):
            if sides.worker_of(node) is not None:
                in_child = True
            else:
                in_parent = True
    return in_child and (in_parent or _is_handed_over(program, store))


def _is_handed_over(program: Program, store: Store) -> bool:
    """Is it made outside of the class, and comes as an argument?"""
    constructor = program.tree.function_of(store.node).node
    values = program.evaluator.stored(store)
    return not any(isinstance(value, Made) for value in values) and any(
        isinstance(value, Result)
        and _primitive((value,))
        and not program.tree.is_within(value.site, constructor)
        for value in values
    )
