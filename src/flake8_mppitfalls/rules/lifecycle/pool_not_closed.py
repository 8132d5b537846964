"""MPP402."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.lives.events import is_run_in_executor
from flake8_mppitfalls.model.lives.machine import Phase
from flake8_mppitfalls.model.values import class_of
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.lifecycle.telling import name_of
from flake8_mppitfalls.syntax.scopes import ScopeKind

if TYPE_CHECKING:
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made

_HARMLESS_BASES = frozenset(
    (
        "object abc.ABC typing.Protocol typing.Generic typing.NamedTuple enum.Enum "
        "threading.Thread unittest.TestCase unittest.IsolatedAsyncioTestCase"
    ).split()
)
"""Classes from elsewhere that do nothing to the attributes of those derived from them."""


class PoolNotClosed(Rule):
    """A pool is used and never closed.

    What it does:
        Finds a ``multiprocessing`` pool that gets tasks and is nowhere closed, terminated or used
        in a ``with`` statement. That its results were fetched does not close it.

        With ``--mpp-opt-in=MPP402`` it also finds a pool that is closed on some paths only (a
        ``return``, ``sys.exit()`` or exception comes between), and a ``ProcessPoolExecutor`` in an
        attribute or a module's variable that is never shut down.

    Why it is bad:
        The workers, the three helper threads and the pipes of the pool stay until the garbage
        collector finds it, or until the program ends: ``ResourceWarning: unclosed running
        multiprocessing pool``, worker processes that nobody needs, and where pools are made again
        and again ``OSError: [Errno 24] Too many open files``. A program may hang at its exit.

    Example:
        ::

            def thumbnails(names):
                pool = multiprocessing.Pool(4)
                return pool.map(shrink, names)

    Use instead:
        ::

            def thumbnails(names):
                with multiprocessing.Pool(4) as pool:
                    return pool.map(shrink, names)

    Known limits:
        A pool that is returned to other modules, passed on or stored out of sight is not followed.
        One that is kept on an object is reported only if nothing in this module ends it.

    References:
        Python documentation, ``multiprocessing.pool.Pool``: "you should always use a context
        manager, or call ``close()`` and ``terminate()`` manually"; CPython's
        ``Lib/multiprocessing/pool.py``, ``Pool.__del__``.
    """

    code = "MPP402"
    name = "pool-not-closed"
    message = "{what}: its workers stay {until}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each pool that is left open."""
        for made in program.made.get(api.Kind.POOL, ()):
            life = program.lifetimes.of(made)
            left = life if self._is_never_ended(program, life) else self._left_by(program, life)
            if left is not None:
                pool = name_of(program, left, "this pool")
                alone = left is life or "." in pool
                where = "" if alone else f" by {self._caller(program, left)}"
                yield self.finding(
                    made.site,
                    what=f"{pool} is never closed{where}",
                    until="until the garbage collector finds it, or until the program ends",
                    cure="use it in a with statement, or call close() and join()",
                )
            elif program.settings.wants(self.code):
                yield from self._on_some_paths(program, made, life)
        if program.settings.wants(self.code):
            yield from self._executors(program)

    def _is_never_ended(self, program: Program, life: Life) -> bool:
        if life.entered or life.is_handed_on or life.calls("close", "terminate", "join"):
            return False
        if any(use.name == "contextlib.closing" for use in life.uses):
            return False
        return self._is_used(program, life) and not self._may_be_ended_elsewhere(program, life)

    def _left_by(self, program: Program, life: Life) -> Life | None:
        """Of what a function gives to several callers: the one that a caller does not end."""
        lives = program.lifetimes.of_callers(life)
        return next((each for each in lives if self._is_never_ended(program, each)), None)

    def _caller(self, program: Program, life: Life) -> str:
        function = program.tree.function_of(life.uses[0].node).node
        return program.function_name(function, "the module")

    def _is_used(self, program: Program, life: Life) -> bool:
        methods = api.METHODS[life.made.kind]
        return any(
            (use.kind is UseKind.METHOD and use.name in methods and methods[use.name].shape)
            or is_run_in_executor(program, use)
            for use in life.uses
        )

    def _may_be_ended_elsewhere(self, program: Program, life: Life) -> bool:
        """Kept on an object: may a base class, or code that knows the object, end it?"""
        evaluator = program.evaluator
        ending = {"close", "terminate", "shutdown", "__exit__"}
        for use in life.uses:
            if use.kind is UseKind.METHOD and life.made.cls is not None:
                if evaluator.classes.method(life.made.cls, use.name) is not None:
                    return True  # the subclass has ways of its own
            if use.kind is not UseKind.KEPT:
                continue
            owners: list[object] = [program.tree.scope_of(use.node).node]  # of a class attribute
            if isinstance(use.node, cst.Attribute):
                owners = [getattr(v, "cls", None) for v in program.values(use.node.value)]
            for cls in owners:
                if isinstance(cls, cst.ClassDef) and not _HARMLESS_BASES.issuperset(
                    evaluator.classes.external_bases(cls)
                ):
                    return True
            if not ending.isdisjoint(program.lifetimes.done_out_of_sight(use.name)):
                return True
            for read in program.tree.attributes.get(use.name, ()):
                parent = program.tree.parent(read)
                if isinstance(parent, cst.Attribute) and parent.attr.value in ending:
                    if not _is_of_others(program, read, owners):
                        return True
            for call in program.tree.calls_of.get("getattr", ()):
                if len(call.args) > 1 and evaluator.text(call.args[1].value) == use.name:
                    return True
        return False

    def _on_some_paths(self, program: Program, made: Made, life: Life) -> Iterator[Finding]:
        if life.is_handed_on or life.early_joins or life.is_one_of_many:
            return
        if not (life.calls("close", "terminate") and self._is_used(program, life)):
            return
        if any(use.kind is UseKind.KEPT for use in life.uses) or made.cls is not None:
            return
        strict = program.lifetimes.strictly(made)
        pool = name_of(program, life, "this pool")
        if Phase.RUNNING in strict.ends:
            reason = "a path that does not come to its close() or terminate() leaves it open"
        elif strict.is_left_by_exception:
            reason = "an exception before its close() or terminate() leaves it open"
        else:
            return
        yield self.finding(
            made.site,
            what=f"{pool} is not closed on every path: {reason}",
            until="until the program ends",
            cure="use it in a with statement, or close it in a finally block",
        )

    def _executors(self, program: Program) -> Iterator[Finding]:
        for made in program.made.get(api.Kind.EXECUTOR, ()):
            life = program.lifetimes.of(made)
            if life.entered or life.is_handed_on or life.calls("shutdown"):
                continue
            if not (self._is_used(program, life) and self._stays(program, life)):
                continue
            if not self._may_be_ended_elsewhere(program, life):
                executor = name_of(program, life, "this executor")
                yield self.finding(
                    made.site,
                    what=f"{executor} stays referenced and is never shut down",
                    until="until the program ends",
                    cure="use it in a with statement, or call shutdown()",
                )

    def _stays(self, program: Program, life: Life) -> bool:
        """Is it kept in an attribute or a variable of the module?"""
        tree = program.tree
        if tree.function_of(life.made.site).kind in (ScopeKind.MODULE, ScopeKind.CLASS):
            return not any(
                use.at is life.made.site and use.kind is not UseKind.KEPT for use in life.uses
            )
        for use in life.uses:
            if use.kind is UseKind.KEPT:
                return True
            if isinstance(use.at, cst.Name):
                owner = tree.scope_of(use.at).owner_of(use.at.value)
                if owner is not None and owner.kind is ScopeKind.MODULE:
                    return True
        return False


def _is_of_others(program: Program, read: cst.Attribute, owners: list[object]) -> bool:
    """Is it an attribute of objects of other classes of this module?"""
    mro = program.evaluator.classes.mro
    for value in program.values(read.value):
        cls = class_of(value)
        if cls is None:
            return False
        for owner in owners:
            if not isinstance(owner, cst.ClassDef) or owner in mro(cls) or cls in mro(owner):
                return False
    return True
