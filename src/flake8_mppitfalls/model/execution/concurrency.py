"""Concurrency: how many processes may run a function at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Container, Made, is_made_at

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Values

SEVERAL = 2
"""Counting ends here."""

_DEEPEST = 3
"""How many containers deep an argument is looked into."""

_SINGLE = frozenset({"apply_async", "submit", "run_in_executor"})
"""Methods that hand over one task each."""
_FETCHES = frozenset({"get", "result", "exception", "wait"})


class Concurrency:
    """Counts the processes that run the functions of one module side by side.

    A count is 0, 1 or :data:`SEVERAL`. What the file does not show is not counted: ``SEVERAL``
    says that it is so.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._entries: dict[cst.CSTNode, list[Entry]] | None = None
        self._counts: dict[tuple[Entry, cst.CSTNode | None], int] = {}

    # -- questions -----------------------------------------------------------------------------

    def entries_of(self, function: cst.CSTNode) -> list[Entry]:
        """The entries of workers that come to ``function``."""
        if self._entries is None:
            self._entries = {}
            for entry in self._program.sides.entries():
                for reached in self._program.sides.reach([entry.function]):
                    self._entries.setdefault(reached, []).append(entry)
        return self._entries.get(function, [])

    def entries_at(self, node: cst.CSTNode) -> list[Entry]:
        """The entries of workers that come to the code that holds ``node``."""
        found: dict[Entry, None] = {}
        for function in self._program.sides.functions_around(node):
            found.update(dict.fromkeys(self.entries_of(function)))
        return list(found)

    def is_several(self, node: cst.CSTNode) -> bool:
        """True if several processes may be in the code that holds ``node`` at the same time."""
        return self.total(self.entries_at(node)) >= SEVERAL

    def is_repeated(self, node: cst.CSTNode) -> bool:
        """True if several processes come to ``node``, at the same time or one after the other."""
        entries = self.entries_at(node)
        if self.total(entries) >= SEVERAL:
            return True
        for entry in entries:
            calls = [entry.task.call] if entry.task is not None else []
            pools = entry.task.receivers if entry.task is not None else ()
            if pools and all(self.has_one_worker(pool) for pool in pools):
                continue
            for call in calls or self.instances_of(entry.function):
                if next(self._loops_around(call), None) is not None:
                    return True
        return False

    def total(self, entries: Iterable[Entry], made: cst.CSTNode | None = None) -> int:
        """How many processes run one of ``entries`` at the same time.

        With ``made``, the place where something is made: how many of them for each thing that is
        made there.
        """
        totals: Counter[cst.CSTNode | None] = Counter()
        for entry in entries:
            place = self._place_for(entry, made) if made is not None else None
            totals[place] += self.count(entry, made)
            if totals[place] >= SEVERAL:
                return SEVERAL
        anywhere = totals.pop(made, 0)
        return min(anywhere + max(totals.values(), default=0), SEVERAL)

    def count(self, entry: Entry, made: cst.CSTNode | None = None) -> int:
        """How many processes run one entry at the same time."""
        key = (entry, made)
        if key not in self._counts:
            self._counts[key] = self._count(entry, made)
        return self._counts[key]

    # -- entries -------------------------------------------------------------------------------

    def _count(self, entry: Entry, made: cst.CSTNode | None) -> int:
        task = entry.task
        if task is None:
            return self._instances(entry.function, made)
        if made is not None:
            made = self._place_for(entry, made)
        if task.shape.role == "process":
            if task.name in ("spawn", "start_processes"):
                count = argument(task.call, task.parameters, "nprocs")
                one = count is None or self._program.evaluator.integer(count) == 1
                return self._times(task.call, made) if one else SEVERAL
            return self._sum([task.call], made)
        return self._tasks(task, made)

    def _instances(self, run: cst.CSTNode, made: cst.CSTNode | None) -> int:
        """The objects of the ``Process`` subclasses that have this ``run()``."""
        sites = self.instances_of(run)
        if made is not None:
            if self._is_made_for_each(run, self._place_in_class(run, made)):
                return min(len(sites), 1)
            given = [site for site in sites if self.is_given(site.args, made)]
            sites = given or sites
        return self._sum(sites, made)

    def instances_of(self, run: cst.CSTNode) -> list[cst.Call]:
        """The calls that make the processes which run a ``run()`` of this module."""
        classes = self._program.evaluator.classes
        return [
            made.site
            for made in self._program.made.get(api.Kind.PROCESS, ())
            if made.cls is not None
            and isinstance(made.site, cst.Call)
            and classes.method(made.cls, "run") is run
        ]

    def _place_for(self, entry: Entry, made: cst.CSTNode) -> cst.CSTNode:
        """Where those who start an entry get what is made at ``made``, if a function gives it."""
        if entry.task is None:
            return self._place_in_class(entry.function, made)
        return self._given_out(made, self._tree.function_of(entry.task.call).node)

    def _place_in_class(self, run: cst.CSTNode, made: cst.CSTNode) -> cst.CSTNode:
        classes = self._program.evaluator.classes
        cls = classes.of_method(run)
        places = (self._given_out(made, m) for m in (classes.methods(cls) if cls else ()))
        return next((place for place in places if place is not made), made)

    def _given_out(self, made: cst.CSTNode, function: cst.CSTNode) -> cst.CSTNode:
        """For what another function makes and returns: the one call that gets it here."""
        home = self._tree.function_of(made).node
        if home is function or not isinstance(home, cst.FunctionDef):
            return made
        calls = [
            site.call
            for site in self._program.references.calls(home)
            if self._tree.function_of(site.call).node is function
            and is_made_at(self._program.values(site.call), made)
        ]
        return calls[0] if len(calls) == 1 else made

    def _is_made_for_each(self, run: cst.CSTNode, made: cst.CSTNode) -> bool:
        """Is it made by the constructor of the process itself: ``self.count = Value("i")``?"""
        classes = self._program.evaluator.classes
        cls = classes.of_method(run)
        around = next(self._program.sides.functions_around(made), None)
        owner = classes.of_method(around) if around is not None else None
        if cls is None or owner is None:
            return False
        return owner in classes.mro(cls) or cls in classes.mro(owner)

    def is_given(self, args: Iterable[cst.Arg], made: cst.CSTNode) -> bool:
        """Is what is made at ``made`` among the arguments of a call?"""
        return any(self._holds(self._program.values(arg.value), made, 0) for arg in args)

    def _holds(self, values: Values, made: cst.CSTNode, depth: int) -> bool:
        """Is one of the values, or what they hold, made at ``made``?"""
        iterated = self._program.evaluator.containers.iterated
        return any(getattr(value, "site", None) is made for value in values) or any(
            self._holds(iterated((value,)), made, depth + 1)
            for value in values
            if isinstance(value, Container) and depth < _DEEPEST
        )

    def _tasks(self, task: Task, made: cst.CSTNode | None) -> int:
        if not task.receivers or all(self.has_one_worker(r) for r in task.receivers):
            return 1
        if task.name == "apply" or (task.name in _SINGLE and self._is_awaited(task.call)):
            return self._times_of_owner(task.call, made) if task.name != "apply" else 1
        if task.name in _SINGLE:
            scope = self._tree.function_of(task.call)
            if all(self._tree.function_of(pool.site) is scope for pool in task.receivers):
                return SEVERAL if self._is_repeated(task.call, made) else 1
            return self._sum([task.call], made)
        iterable = task.argument("iterable")
        if isinstance(iterable, (cst.List, cst.Tuple)) and len(iterable.elements) < SEVERAL:
            if not any(isinstance(e, cst.StarredElement) for e in iterable.elements):
                return 1
        return SEVERAL

    def has_one_worker(self, pool: Made) -> bool:
        """True for a pool or executor that is made with a worker count of 1."""
        maker = api.MAKERS.get(pool.name)
        if maker is None or not maker.count or not isinstance(pool.site, cst.Call):
            return False
        count = argument(pool.site, maker.parameters, maker.count)
        return count is not None and self._program.evaluator.integer(count) == 1

    def _is_awaited(self, call: cst.Call) -> bool:
        """Is the result fetched at once: ``submit(f).result()``, ``await run_in_executor(…)``?"""
        parent = self._tree.parent(call)
        if isinstance(parent, cst.Attribute):
            outer = self._tree.parent(parent)
            return isinstance(outer, cst.Call) and parent.attr.value in _FETCHES
        return isinstance(parent, cst.Await)

    # -- how often -----------------------------------------------------------------------------

    def _sum(
        self,
        calls: list[cst.Call],
        made: cst.CSTNode | None,
        seen: frozenset[cst.CSTNode] = frozenset(),
    ) -> int:
        """How many of these calls are done side by side."""
        counted: list[cst.Call] = []
        total = 0
        for call in calls:
            if any(self.are_exclusive(call, other) for other in counted):
                continue
            counted.append(call)
            total += self._times(call, made, seen)
            if total >= SEVERAL:
                return SEVERAL
        return total

    def times(self, call: cst.Call, made: cst.CSTNode) -> int:
        """How many of the processes that ``call`` makes live at once, for each thing ``made``."""
        return self._times(call, made)

    def _times(
        self,
        node: cst.CSTNode,
        made: cst.CSTNode | None,
        seen: frozenset[cst.CSTNode] = frozenset(),
    ) -> int:
        """How often ``node`` is evaluated, for each time that ``made`` is."""
        if self._is_repeated(node, made):
            return SEVERAL
        if self._is_joined_here(node):
            return 1
        return self._times_of_owner(node, made, seen)

    def _is_repeated(self, node: cst.CSTNode, made: cst.CSTNode | None) -> bool:
        """Is ``node`` in a loop that does not wait for the process that it makes?"""
        return any(
            not self._is_serial(node, loop)
            for loop in self._loops_around(node)
            if made is None or not self._tree.is_within(made, loop)
        )

    def _is_joined_here(self, node: cst.CSTNode) -> bool:
        """Has the process that ``node`` makes ended when its function returns?"""
        scope = self._tree.function_of(node)
        return any(
            use.kind is UseKind.METHOD
            and use.name == "join"
            and self._tree.function_of(use.node) is scope
            for use in self._program.uses.of(node)
        )

    def _times_of_owner(
        self,
        node: cst.CSTNode,
        made: cst.CSTNode | None,
        seen: frozenset[cst.CSTNode] = frozenset(),
    ) -> int:
        """How often the function that holds ``node`` is called."""
        function = next(self._program.sides.functions_around(node), None)
        if not isinstance(function, cst.FunctionDef) or function in seen:
            return 1
        if made is not None and self._tree.is_within(made, function):
            return 1
        calls = [site.call for site in self._program.references.calls(function)]
        if made is not None and self._are_methods_of_one(made, function):
            calls = [call for call in calls if self._are_methods_of_one(made, call)]
        return max(self._sum(calls, made, seen | {function}), 1)

    def _are_methods_of_one(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """Do both places stand in methods of one class?"""
        owners = [self._class_around(node) for node in (first, second)]
        return owners[0] is not None and owners[0] is owners[1]

    def _class_around(self, node: cst.CSTNode) -> cst.CSTNode | None:
        for parent in (node, *self._tree.ancestors(node)):
            if isinstance(parent, cst.FunctionDef):
                cls = self._program.evaluator.classes.of_method(parent)
                if cls is not None:
                    return cls
        return None

    def _loops_around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The loops and comprehensions, in the same function, that repeat ``node``."""
        for loop in self._program.loops.around(node):
            if isinstance(loop, cst.While):
                yield loop
            elif not _is_once(loop.iter if isinstance(loop, cst.For) else loop.for_in.iter):
                yield loop

    def _is_serial(self, node: cst.CSTNode, loop: cst.CSTNode) -> bool:
        """Is the process that ``node`` makes joined before the next turn of the loop?"""
        for use in self._program.uses.of(node):
            if use.kind is UseKind.METHOD and use.name == "join" and not use.through_container:
                around = next(self._loops_around(use.node), None)
                if around is loop:
                    return True
        return self._are_started_in_turn(node)

    def _are_started_in_turn(self, node: cst.CSTNode) -> bool:
        """``for p in processes: p.start(); p.join()``: one process at a time runs."""
        uses = [use for use in self._program.uses.of(node) if use.kind is UseKind.METHOD]
        starts = [use.node for use in uses if use.name == "start"]
        joins = [use.node for use in uses if use.name == "join"]
        return bool(starts) and all(
            any(
                self._is_joined_in_turn(start, join)
                and not any(self._is_between(other, start, join) for other in starts)
                for join in joins
            )
            for start in starts
        )

    def _is_between(self, node: cst.CSTNode, first: cst.CSTNode, last: cst.CSTNode) -> bool:
        return (
            node is not first and self._tree.before(first, node) and self._tree.before(node, last)
        )

    def _is_joined_in_turn(self, start: cst.CSTNode, join: cst.CSTNode) -> bool:
        """Do they follow each other in one block of a loop, on one name, without a time limit?"""
        tree = self._tree
        if not isinstance(start, cst.Call) or not isinstance(join, cst.Call) or join.args:
            return False
        blocks = [
            next((p for p in tree.ancestors(call) if isinstance(p, cst.BaseSuite)), None)
            for call in (start, join)
        ]
        return (
            blocks[0] is not None
            and blocks[0] is blocks[1]
            and tree.before(start, join)
            and isinstance(start.func, cst.Attribute)
            and isinstance(join.func, cst.Attribute)
            and start.func.value.deep_equals(join.func.value)
        )

    def are_exclusive(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """Do the two stand in different branches of one ``if``?"""
        chain: dict[cst.CSTNode, cst.CSTNode] = {}
        child = first
        for parent in self._tree.ancestors(first):
            chain[parent] = child
            child = parent
        child = second
        for parent in self._tree.ancestors(second):
            if parent in chain:
                return (
                    isinstance(parent, (cst.If, cst.IfExp))
                    and chain[parent] is not child
                    and parent.test not in (chain[parent], child)
                )
            child = parent
        return False


def _is_once(iterable: cst.BaseExpression) -> bool:
    """True for a literal list or tuple of at most one element."""
    return (
        isinstance(iterable, (cst.List, cst.Tuple, cst.Set))
        and len(iterable.elements) < SEVERAL
        and not any(isinstance(e, cst.StarredElement) for e in iterable.elements)
    )
