"""MPP310."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.api import Kind
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.module_state import Side
from flake8_mppitfalls.model.sharing.connections import Connected, connected
from flake8_mppitfalls.model.values import Instance
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Binding


class ConnectionAcrossFork(Rule):
    """A forked worker uses the parent's database connection.

    What it does:
        Finds a database connection, a used engine or a client that is kept in a global, made at
        import or by the parent, and used by a worker function; also one that the constructor of a
        global object keeps in an attribute.

    Why it is bad:
        ``fork`` copies the connection with its socket or file. Parent and workers then talk to the
        server over one line, in each other's words: answers get lost, or to the wrong process,
        and the first that ends closes the session for all::

            psycopg2.OperationalError: SSL error: decryption failed or bad record mac
            (2006, 'MySQL server has gone away')

        SQLite's locks do not survive a fork either; the database may be damaged.

    Example:
        ::

            conn = psycopg2.connect("dbname=shop")

            def work(order):
                with conn.cursor() as cursor:
                    ...

            with multiprocessing.Pool() as pool:
                pool.map(work, orders)

    Use instead:
        ::

            def connect():
                global conn
                conn = psycopg2.connect("dbname=shop")

            with multiprocessing.Pool(initializer=connect) as pool:
                pool.map(work, orders)

        For an SQLAlchemy engine: ``engine.dispose(close=False)`` in the initializer.

    Known limits:
        Silent where a worker or initializer binds the name anew or disposes of the engine, for an
        engine that the parent has not used before, for a plain ``redis.Redis``, and where workers
        are only spawned.

    References:
        psycopg documentation, "Thread and process safety"; SQLAlchemy documentation, "Using
        Connection Pools with Multiprocessing"; SQLite, "How To Corrupt An SQLite Database File".
    """

    code = "MPP310"
    name = "connection-across-fork"
    message = (
        "a forked worker uses the parent's connection {name} here: both talk over one line, and"
        " answers get lost or mixed up; {remedy} in the worker or the pool's initializer"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the first use in each worker function of a connection of the parent's."""
        if not program.sides.entries():
            return
        for name, bindings in program.tree.module_scope.bindings.items():
            if not any(_may_connect(binding) for binding in bindings):
                continue
            yield from self._of_objects(program, name)
            kind = _connected(program, name)
            if kind is None or _is_disposed(program, name):
                continue
            for load in program.module_state.first_worker_reads(name):
                if not _may_be_forked(program, load):
                    continue
                if kind is Connected.ENGINE and not _is_used_before(program, name, load):
                    continue
                yield self.finding(
                    load,
                    name=name,
                    remedy="dispose of the engine" if kind is Connected.ENGINE else "connect anew",
                )

    def _of_objects(self, program: Program, name: str) -> Iterator[Finding]:
        """The first use in each worker function of an object that keeps a connection."""
        kinds = _wrapped(program, name)
        kept = [attribute for attribute, kind in kinds.items() if kind is not Connected.ENGINE]
        told: set[cst.CSTNode | None] = set()
        for load in program.module_state.reads(name) if kept else ():
            worker = program.sides.worker_of(load)
            if worker is None or worker in told or not _touches(program, load, kept):
                continue
            if _may_be_forked(program, load):
                told.add(worker)
                yield self.finding(load, name=f"{name}.{kept[0]}", remedy="connect anew")


def _wrapped(program: Program, name: str) -> dict[str, Connected]:
    """The attributes in which an object of the module keeps a connection from its beginning."""
    writes = program.module_state.writes(name)
    if any(write.side & (Side.WORKER | Side.INITIALIZER) for write in writes):
        return {}
    found: dict[str, Connected] = {}
    for write in writes:
        for value in program.evaluator.bound(write.binding):
            if not isinstance(value, Instance):
                return {}
            for attribute in program.crossing.attributes.names(value.cls):
                kind = _of_attribute(program, value.cls, attribute)
                if kind is not None:
                    found[attribute] = kind
    return found


def _of_attribute(program: Program, cls: cst.ClassDef, attribute: str) -> Connected | None:
    """What an attribute is connected to that the constructor alone sets."""
    kinds: set[Connected | None] = set()
    for store in program.evaluator.members.stores(cls, attribute):
        function = program.tree.function_of(store.node).node
        if not isinstance(function, cst.FunctionDef) or function.name.value != "__init__":
            return None
        kinds.update(connected(program, value) for value in program.evaluator.stored(store))
    return kinds.pop() if len(kinds) == 1 else None


def _touches(program: Program, load: cst.Name, attributes: Collection[str]) -> bool:
    """Does ``db.conn``, or the method in ``db.find()``, use one of the attributes?"""
    read = program.changes.read_at(load)
    return read is not None and not read.isdisjoint(attributes)


def _may_connect(binding: Binding) -> bool:
    node = binding.value
    while isinstance(node, (cst.Subscript, cst.Attribute)):
        node = node.value
    return binding.kind in (Bound.ASSIGN, Bound.WITH) and isinstance(node, (cst.Call, cst.Name))


def _connected(program: Program, name: str) -> Connected | None:
    """What a name of the module is connected to, by the parent's doing only."""
    found: Connected | None = None
    for write in program.module_state.writes(name):
        if write.side & (Side.WORKER | Side.INITIALIZER):
            return None
        values = program.evaluator.bound(write.binding)
        kinds = [kind for value in values if (kind := connected(program, value)) is not None]
        found = found or (kinds[0] if kinds else _of_part(program, write.binding))
    return found


def _of_part(program: Program, binding: Binding) -> Connected | None:
    """``client["shop"]["orders"]``: a part of a client goes over the client's line."""
    node = binding.value
    if not isinstance(node, (cst.Subscript, cst.Attribute)):
        return None
    while isinstance(node, (cst.Subscript, cst.Attribute)):
        node = node.value
    kinds = [connected(program, value) for value in program.values(node)]
    return next((k for k in kinds if k in (Connected.CLIENT, Connected.ENGINE)), None)


def _is_disposed(program: Program, name: str) -> bool:
    """Is the engine's pool given up, in a worker, an initializer, or before the fork?"""
    return any(
        isinstance(call.func, cst.Attribute)
        and isinstance(call.func.value, cst.Name)
        and call.func.value.value == name
        for call in program.tree.calls_of.get("dispose", ())
    )


def _may_be_forked(program: Program, node: cst.CSTNode) -> bool:
    return any(
        program.start_methods.forks(*program.sides.processes(entry))
        for entry in program.concurrency.entries_at(node)
    )


def _is_used_before(program: Program, name: str, load: cst.Name) -> bool:
    """Has the parent used the engine, and so connected it, when the worker is forked?"""
    state = program.module_state
    uses = [read for read in state.reads(name) if program.sides.is_parent_code(read)]

    def direct(step: Step) -> Iterator[cst.CSTNode]:
        return (read for read in uses if program.tree.is_within(read, step.node))

    used = Effect(program.runs, direct, program.runs.in_program)
    return any(
        used.at(step) for start in _starts(program, load) for step in program.paths.before(start)
    )


def _starts(program: Program, load: cst.Name) -> Iterator[cst.CSTNode]:
    """Where the processes are made that come to ``load``."""
    for entry in program.concurrency.entries_at(load):
        if entry.task is None:
            yield from program.concurrency.instances_of(entry.function)
            continue
        pools = [made.site for made in entry.task.receivers if made.kind is Kind.POOL]
        yield from pools or [entry.task.call]
