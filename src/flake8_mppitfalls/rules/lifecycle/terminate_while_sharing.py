"""MPP416."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.lives.naming import Naming
from flake8_mppitfalls.model.sharing.shared_use import USES, SharedUse, thing_of
from flake8_mppitfalls.model.values import Made, is_made_at
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program

_DEEPEST = 4
"""So many calls are followed back to see who makes a thing."""

_ONLY_IF = {api.Kind.EVENT: "wait", api.Kind.VALUE: "get_lock", api.Kind.ARRAY: "get_lock"}
"""These matter only where the process itself does this with them."""

_WORDS = {
    api.Kind.QUEUE: "queue",
    api.Kind.CONNECTION: "pipe",
    api.Kind.LOCK: "lock",
    api.Kind.SEMAPHORE: "semaphore",
    api.Kind.CONDITION: "condition",
    api.Kind.BARRIER: "barrier",
    api.Kind.EVENT: "event",
    api.Kind.VALUE: "value",
    api.Kind.ARRAY: "array",
}


_STATES = {
    api.Kind.QUEUE: "perhaps with half a message in",
    api.Kind.CONNECTION: "perhaps with half a message in",
    api.Kind.LOCK: "perhaps holding",
    api.Kind.SEMAPHORE: "perhaps holding",
    api.Kind.CONDITION: "perhaps holding",
    api.Kind.BARRIER: "perhaps waiting at",
    api.Kind.EVENT: "perhaps waiting for",
}


class TerminateWhileSharing(Rule):
    """A process is terminated, and what it shared is used afterwards.

    What it does:
        Finds ``terminate()`` and ``kill()`` on a ``Process`` that was given a queue, pipe end,
        lock, semaphore, condition, barrier, or an ``Event`` that it waits on, where the parent, or
        another process, uses the same thing afterwards.

    Why it is bad:
        The process dies wherever it is: in the middle of a message, or with a lock in its hand.
        An idle worker in ``queue.get()`` holds the lock of the queue's readers, and takes it with
        it: the next ``get()``, in whatever process, waits for ever. Half a message in the pipe is
        read as rubbish, or not to its end. A lock stays held.

    Example:
        ::

            worker.terminate()
            worker = multiprocessing.Process(target=work, args=(tasks,))
            worker.start()

    Use instead:
        ::

            tasks.put(None)     # the worker leaves its loop
            worker.join()
            worker = multiprocessing.Process(target=work, args=(tasks,))
            worker.start()

        Or give the new worker a queue of its own.

    Known limits:
        What is used after the ``terminate()`` is searched on the paths that this file shows. The
        proxies of a manager are no finding.

    References:
        Python documentation, ``multiprocessing.Process.terminate``: "If this method is used when
        the associated process is using a pipe or queue then the pipe or queue is liable to become
        corrupted and may become unusable by other process"; CPython's
        ``Lib/multiprocessing/queues.py``, ``Queue.get``.
    """

    code = "MPP416"
    name = "terminate-while-sharing"
    message = (
        "{process} is ended here wherever it is, {state} the {thing} that it shares, and {user}"
        " uses that {thing} afterwards: it may hang; tell the process to stop and join it, or make"
        " a new {thing}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``terminate()`` after which a shared thing is used."""
        attributes = program.tree.attributes
        if "terminate" not in attributes and "kill" not in attributes:
            return
        found: set[cst.CSTNode] = set()
        sharing = SharedUse(program)
        for process in program.made.get(api.Kind.PROCESS, ()):
            ending = program.lifetimes.of(process).calls("terminate")
            for thing in program.handovers.of(process) if ending else ():
                case = _Case(program, process, thing, sharing)
                for call in ending:
                    user = case.user_after(call) if call not in found else ""
                    if user:
                        found.add(call)
                        yield self.finding(
                            call,
                            process=program.receiver(call, "the process"),
                            thing=_WORDS[thing.kind],
                            state=_STATES.get(thing.kind, "perhaps with the lock of"),
                            user=user,
                        )


class _Case:
    """One process and one thing that it was given."""

    def __init__(self, program: Program, process: Made, thing: Made, sharing: SharedUse) -> None:
        self._program = program
        self._tree = program.tree
        self._process = process
        self._thing = thing
        self._sharing = sharing
        passes = program.runs.in_program
        self._makes = Effect(program.runs, self._made_anew, passes)
        self._uses = Effect(program.runs, self._used, passes)
        self._hands = Effect(program.runs, self._handed, passes)
        self._starts = Effect(program.runs, self._started, passes)
        self._joins = Effect(program.runs, self._joined, passes)

    def user_after(self, call: cst.Call) -> str:
        """Who uses the thing after the call that ends the process; empty for nobody."""
        program = self._program
        if not self._matters or not program.sides.is_parent_code(call):
            return ""
        if not self._others and not self._may_be_used_after(call):
            return ""
        together = self._is_one_of_many(call)
        if together or not self._is_only_one:
            return "the parent" if self._is_used_beside(call, together) else ""
        if self._has_ended(call):
            return ""
        if self._is_another(call) or self._is_still_another(call):
            return ""
        after = program.aftermath.until(call, lambda step: bool(self._makes.at(step)))
        for step in after.steps:
            if self._is_of_next_turn(step.node, call):
                continue
            if self._uses.at(step):
                return "the parent"
            if self._hands.at(step):
                return "the next process"
        return "another process" if self._others_go_on(call) else ""

    def _may_be_used_after(self, call: cst.Call) -> bool:
        """False where all that is done with the thing stands before the call."""
        thing, sharing = thing_of(self._thing), self._sharing
        places = sharing.uses.get(thing, set()) | sharing.hands.get(thing, set())
        return any(self._program.paths.may_follow(node, call) for node, _ in places)

    # -- the process ---------------------------------------------------------------------------

    @cached_property
    def _matters(self) -> bool:
        """Is it a thing of this file that the process uses in a way that can go wrong?"""
        thing = self._thing
        if thing.kind not in USES or not isinstance(thing.site, cst.Call):
            return False
        functions = self._program.sides.targets(self._process)
        wanted = _ONLY_IF.get(thing.kind)
        if not functions:
            return wanted is None
        return self._is_used_in(functions, frozenset({wanted}) if wanted else None)

    @cached_property
    def _is_only_one(self) -> bool:
        """False for what each of many objects makes, or has made for it: each has its own."""
        program, place = self._program, self._thing.site
        made_with = self._tree.function_of(self._process.site)
        for _ in range(_DEEPEST):
            scope = self._tree.function_of(place)
            cls = program.evaluator.classes.of_method(scope.node)
            if cls is not None:
                return Naming(program, place, ()).is_only_one(cls)
            if scope is made_with or not isinstance(scope.node, cst.FunctionDef):
                return True
            calls = program.references.calls(scope.node)
            if len(calls) != 1:
                return not calls
            place = calls[0].call
        return False

    def _is_used_beside(self, call: cst.Call, of_one_object: bool) -> bool:
        """Does the very function go on with the thing: ``self.process.kill(); self.q.get()``?

        So it is asked of one of many: what belongs together is known in one function only.
        """
        here = self._tree.function_of(call)
        joins = self._program.lifetimes.of(self._process).calls("join")
        if any(self._tree.function_of(join) is not here for join in joins):
            return False  # perhaps it has ended before
        uses = self._sharing.uses.get(thing_of(self._thing), ())
        return any(
            self._tree.before(call, use) and self._is_beside(use, call, of_one_object)
            for use, _ in uses
            if self._tree.function_of(use) is here
        ) and not any(
            any(self._joined(step))
            if self._tree.before(step.node, call)
            else any(self._made_anew(step))
            for step in self._program.runs.steps(here.node)
        )

    def _is_beside(self, use: cst.CSTNode, call: cst.Call, of_one_object: bool) -> bool:
        """Are both of one object? Where objects don't matter, two names will do."""
        heads = []
        for node in (use, call):
            func = node.func if isinstance(node, cst.Call) else None
            name = dotted_name(func.value) if isinstance(func, cst.Attribute) else ""
            head, _, rest = name.partition(".")
            heads.append((head if rest else "", bool(rest if of_one_object else name)))
        return heads[0] == heads[1] and heads[0][1]

    def _is_used_in(self, functions: list[cst.CSTNode], names: frozenset[str] | None) -> bool:
        """Do the functions, or those that they call, do one of these things with it?"""
        for function in self._program.sides.reach(functions):
            for node in self._tree.walk(function):
                if not isinstance(node, (cst.Name, cst.Attribute)) or not self._is_it(node):
                    continue
                parent = self._tree.parent(node)
                if isinstance(parent, cst.Attribute):
                    done = parent.attr.value
                else:
                    done = "__enter__" if isinstance(parent, cst.WithItem) else ""
                if names is None or done in names:
                    return True
        return False

    def _has_ended(self, call: cst.Call) -> bool:
        """Has it been joined, without a time limit, since its start?"""
        steps = self._program.paths.before(call, lambda step: bool(self._starts.at(step)))
        return any(
            self._joins.at(step)
            and not self._is_of_earlier_turn(step.node, call)
            and not self._is_behind(step, call)
            for step in steps
        )

    def _is_behind(self, step: Step, call: cst.Call) -> bool:
        """Was it done when the same function ran before? Then that is where it went wrong."""
        here = self._tree.function_of(call)
        behind = self._tree.function_of(step.node) is here and self._tree.before(call, step.node)
        return behind or here.node in self._program.sides.reach(list(step.functions))

    def _is_of_earlier_turn(self, join: cst.CSTNode, call: cst.Call) -> bool:
        """``for p in procs: p.terminate(); p.join()``: the one before was another process."""
        receiver = call.func.value if isinstance(call.func, cst.Attribute) else None
        if not isinstance(receiver, cst.Name) or not self._tree.before(call, join):
            return False
        loops = {
            parent
            for binding in self._program.names.bindings(receiver)
            if binding.kind is Bound.FOR
            for parent in self._tree.ancestors(binding.node)
            if isinstance(parent, cst.For) and self._tree.is_within(binding.node, parent.target)
        }
        return any(
            self._tree.is_within(call, loop.body) and self._tree.is_within(join, loop.body)
            for loop in loops
        )

    def _is_another(self, call: cst.Call) -> bool:
        """Is what is ended here known, and not this process?"""
        assert isinstance(call.func, cst.Attribute)
        ended = call.func.value
        values = self._program.values(ended)
        return not is_made_at(values, self._process.site) and any(
            isinstance(value, Made) for value in values
        )

    def _is_still_another(self, call: cst.Call) -> bool:
        """Is it started later only, and what is ended here is one of another kind?"""
        assert isinstance(call.func, cst.Attribute)
        others = [
            value.site
            for value in self._program.values(call.func.value)
            if isinstance(value, Made) and value.site is not self._process.site
        ]
        if not others:
            return False
        begun = {
            site
            for step in self._program.paths.before(call)
            for site in self._sharing.begins.at(step)
        }
        return self._process.site not in begun and not begun.isdisjoint(others)

    def _is_one_of_many(self, call: cst.Call) -> bool:
        """Is it made with its process by a function that is called again and again?

        Where it is ended, in another function, it is one of many, each of which has its own.
        """
        if self._is_one_of_several:
            return True
        tree, maker = self._tree, self._tree.function_of(self._thing.site).node
        if maker is not tree.function_of(self._process.site).node:
            return False
        if not isinstance(maker, cst.FunctionDef) or maker is tree.function_of(call).node:
            return False
        calls = self._program.references.calls(maker)
        return len(calls) > 1 or any(self._program.loops.repeat(site.call) for site in calls)

    @cached_property
    def _is_one_of_several(self) -> bool:
        """``for q in queues: drain(q)``: does who makes the process get now this, now another?"""
        maker = self._tree.function_of(self._process.site).node
        loops = self._program.loops
        given: dict[object, set[bool]] = {}
        for site in self._program.references.calls(maker):
            for place, arg in enumerate(site.call.args):
                key = arg.keyword.value if arg.keyword is not None else place
                is_it = self._is_it(arg.value)
                given.setdefault(key, set()).add(is_it)
                if is_it and any(loops.varies(arg.value, loop) for loop in loops.around(site.call)):
                    return True
        return any(len(answers) > 1 for answers in given.values())

    def _is_of_next_turn(self, node: cst.CSTNode, call: cst.Call) -> bool:
        """``for p, q in pairs: q.put(None); p.terminate()``: the next turn has its own queue."""
        loops = self._program.loops
        return (
            self._tree.before(node, call)
            and loops.repeat(self._thing.site)
            and not set(loops.around(call)).isdisjoint(loops.around(node))
        )

    # -- steps ---------------------------------------------------------------------------------

    def _is_it(self, node: cst.CSTNode) -> bool:
        """Is it the thing? For a pipe either end will do."""
        return any(
            isinstance(v, Made) and v.kind is self._thing.kind and v.site is self._thing.site
            for v in self._program.values(node)
        )

    def _made_anew(self, step: Step) -> Iterator[bool]:
        if step.node is self._thing.site or self._is_put_in_its_place(step.node):
            yield True

    def _is_put_in_its_place(self, node: cst.CSTNode) -> bool:
        """``self.tasks = Queue()``: from now on the attribute has another one."""
        if not isinstance(node, cst.Call) or not is_made_at(self._program.values(node), node):
            return False
        statement = self._tree.statement_of(node)
        return isinstance(statement, cst.Assign) and any(
            isinstance(part, cst.Attribute) and self._is_it(part)
            for target in statement.targets
            for part in self._tree.walk(target)
        )

    def _used(self, step: Step) -> Iterator[bool]:
        if (step.node, step.entered) in self._sharing.uses.get(thing_of(self._thing), ()):
            yield True

    def _handed(self, step: Step) -> Iterator[bool]:
        """A process is started that has the same thing."""
        if (step.node, step.entered) in self._sharing.hands.get(thing_of(self._thing), ()):
            yield True

    def _started(self, step: Step) -> Iterator[bool]:
        if any(s.site is self._process.site for s in self._program.starts.direct(step)):
            yield True

    def _joined(self, step: Step) -> Iterator[bool]:
        call = step.node
        if step.entered or not isinstance(call, cst.Call) or call.args:
            return
        if isinstance(call.func, cst.Attribute) and call.func.attr.value == "join":
            if is_made_at(self._program.values(call.func.value), self._process.site):
                yield True

    # -- other processes -----------------------------------------------------------------------

    @cached_property
    def _others(self) -> list[Made]:
        given = self._sharing.processes.get(thing_of(self._thing), ())
        return [process for process in given if process.site is not self._process.site]

    def _others_go_on(self, call: cst.Call) -> bool:
        """Is there another process that has the thing, runs now, and is not ended, too?"""
        for other in self._others:
            functions = self._program.sides.targets(other)
            if not functions or not self._is_used_in(functions, USES[self._thing.kind]):
                continue
            life = self._program.lifetimes.of(other)
            if life.is_handed_on or life.calls("terminate"):
                continue
            if self._runs_at(call, other):
                return True
        return False

    def _runs_at(self, call: cst.Call, other: Made) -> bool:
        """Has the other one been started before, and not been joined?"""
        begun = _Case(self._program, other, self._thing, self._sharing)
        steps = self._program.paths.before(call)
        started = any(begun._starts.at(step) for step in steps)
        return started and not any(begun._joins.at(step) for step in steps)
