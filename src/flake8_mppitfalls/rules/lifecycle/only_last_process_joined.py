"""MPP406."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.lives.machine import Phase
from flake8_mppitfalls.model.values import is_none
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Scope


class OnlyLastProcessJoined(Rule):
    """Many processes are started in a loop, and one is joined after it.

    What it does:
        Finds processes that are started in a loop of which, after the loop, only the one is joined
        that the loop's variable still holds. A loop around that ``join()`` does not help
        (``for q in processes: p.join()``).

    Why it is bad:
        The variable holds the process of the last turn. Nobody waits for the others: what comes
        next begins before their work is done, and reads results that are not there yet. There is
        no error, and with few processes it even looks right.

    Example:
        ::

            for name in names:
                worker = multiprocessing.Process(target=convert, args=(name,))
                worker.start()
            worker.join()

    Use instead:
        ::

            workers = []
            for name in names:
                worker = multiprocessing.Process(target=convert, args=(name,))
                worker.start()
                workers.append(worker)
            for worker in workers:
                worker.join()

    Known limits:
        Processes that are handed on, or kept on an object of a module that others import, are not
        followed.

    References:
        Python documentation, ``multiprocessing.Process.join``.
    """

    code = "MPP406"
    name = "only-last-process-joined"
    message = (
        "{process} is only the last of the processes that the loop starts: nobody waits for the"
        " others; keep them in a list and join each of them"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``join()`` of a loop's variable behind the loop."""
        for made in program.made.get(api.Kind.PROCESS, ()):
            life = program.lifetimes.of(made)
            if not life.missed or not self._is_left_running(program, life):
                continue
            for call, phases in life.missed.items():
                if Phase.RUNNING in phases and isinstance(call, cst.Call):
                    if self._is_behind_its_loop(program, call, life.calls("join")):
                        yield self.finding(call, process=program.receiver(call, "this"))

    def _is_left_running(self, program: Program, life: Life) -> bool:
        """Does a path leave a process to itself, and is there no other way to wait for it?"""
        if life.is_handed_on or Phase.RUNNING not in life.ends:
            return False
        for use in life.uses:
            if use.name == "sentinel" or self._is_polled(program, use):
                return False
            if use.kind is UseKind.KEPT and not (program.guards or use.name.startswith("_")):
                return False  # nobody imports a script; the attributes of a library are read
        scopes: set[Scope] = {program.tree.function_of(call) for call in life.calls("join")}
        return len(scopes) == 1 and not program.api_calls("active_children")

    def _is_polled(self, program: Program, use: Use) -> bool:
        """``while any(p.is_alive() for p in workers):``"""
        if use.name not in ("is_alive", "exitcode"):
            return False
        return any(
            isinstance(parent, cst.While) and program.tree.is_within(use.node, parent.test)
            for parent in program.tree.ancestors(use.node)
        )

    def _is_behind_its_loop(self, program: Program, call: cst.Call, joins: list[cst.Call]) -> bool:
        """Does the name get its value in a loop that joins nothing, and the call stand outside?"""
        assert isinstance(call.func, cst.Attribute)
        targets = list(self._targets(program, call.func.value))
        return bool(targets) and all(
            self._is_bound_in_another_loop(program, target, join)
            for target in targets
            for join in joins
        )

    def _targets(self, program: Program, node: cst.BaseExpression) -> Iterator[cst.CSTNode]:
        """Where a name, or an attribute, gets a process."""
        evaluator = program.evaluator
        if isinstance(node, cst.Name):
            for binding in evaluator.names.bindings(node):
                if not all(is_none(value) for value in evaluator.bound(binding)):
                    yield binding.node
        elif isinstance(node, cst.Attribute):
            for store in evaluator.classes.stores(node.attr.value):
                if not all(is_none(value) for value in evaluator.stored(store)):
                    yield store.node

    def _is_bound_in_another_loop(
        self, program: Program, target: cst.CSTNode, call: cst.Call
    ) -> bool:
        for parent in program.tree.ancestors(target):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            if isinstance(parent, (cst.For, cst.While)):
                return not program.tree.is_within(call, parent.body)
        return False
