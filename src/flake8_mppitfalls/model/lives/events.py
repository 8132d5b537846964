"""Events: where something happens to one pool, executor or process.

Every use of the thing that matters to its life becomes an :class:`Event` at a point of the control
flow of the function in which it stands. Functions of this module that get the thing as an argument,
or reach it as a global, by a closure or as an attribute of their class, are entered at their calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument, positional_names
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, Use, UseKind
from flake8_mppitfalls.model.lives.lending import fixture_users, is_lent_to_known, loans
from flake8_mppitfalls.model.lives.machine import MACHINES, Effect
from flake8_mppitfalls.model.lives.naming import LOOSE, NOT, How, Naming, Way
from flake8_mppitfalls.model.values import Instance
from flake8_mppitfalls.syntax.flow import PointKind
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.references import CallSite
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.lives.machine import Machine
    from flake8_mppitfalls.model.lives.naming import Key
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Point
    from flake8_mppitfalls.syntax.scopes import Scope

MOST_CALLS = 100
"""Nothing is said of a thing that goes through a function which is called more often than that."""

EVERY = Way(How.EACH)
"""Whatever the thing is called."""


@dataclass(slots=True, eq=False)
class Event:
    """Something that happens to the thing at a node, if ``way`` leads to it there.

    For ``CALL`` it happens in the function ``called``, whose parameters get ``given``; without
    ``called`` nobody knows what happens. For ``HOLD`` and ``CLEAR`` ``container`` is the container.
    """

    effect: Effect
    node: cst.CSTNode
    way: Way = EVERY
    called: cst.CSTNode | None = None
    given: tuple[tuple[Key, Way], ...] = ()
    container: cst.CSTNode | None = None


_CONTEXT_METHODS = {"__enter__": PointKind.ENTER, "__exit__": PointKind.LEAVE}


class Events:
    """The events of one thing.

    Attributes:
        at: for each function (or the module) the events at its points.
        calls: the calls of this module's functions that are entered.
        entered: the functions that ``with`` statements call.
        escaping: the functions that use the thing and are themselves given away.
        naming: how the thing is reached.
        are_too_many: more may happen to it than is looked at.
        home: where it is made, or comes as a parameter.
    """

    def __init__(
        self, program: Program, life: Life, machine: Machine, *, lent: bool = True
    ) -> None:
        """``lent``: what borrows the thing from a context manager is followed, too."""
        self._program = program
        self._tree = program.tree
        self._life = life
        self._machine = machine
        self._methods = api.METHODS[life.made.kind]
        self._calls: dict[cst.CSTNode, None] = {}
        self._borrowing: set[cst.CSTNode] = set()
        self.at: dict[Scope, dict[Point, list[Event]]] = {}
        self.entered: set[Scope] = set()
        self.escaping: set[Scope] = set()
        self.are_too_many = False
        self.naming = Naming(program, life.made.site, life.uses)
        parameter = life.parameter
        self.home = parameter.scope if parameter else self._tree.function_of(life.made.site)
        for use in life.uses:
            self._add(use)
        self._add_own_methods()
        if lent:
            self._add_loans()
        for scope in list(self.at):
            self._add_escapes(scope)
        if parameter is None:
            self._place(self.home, Event(Effect.MAKE, life.made.site))
        self._add_calls()
        self._add_containers()
        self._spread_looseness()
        self._sort()

    def nodes(self, *effects: Effect) -> list[cst.CSTNode]:
        """The places of all events with one of these effects."""
        return [
            event.node
            for points in self.at.values()
            for events in points.values()
            for event in events
            if event.effect in effects
        ]

    def calls_that_reach(self, nodes: Iterable[cst.CSTNode]) -> list[cst.CSTNode]:
        """The calls of this module's functions in which one of these places is, however deep."""
        reached = {self._tree.function_of(node).node for node in nodes}
        calls = [
            (self._tree.function_of(event.node).node, event)
            for points in self.at.values()
            for events in points.values()
            for event in events
            if event.effect is Effect.CALL and event.called is not None
        ]
        size = -1
        while size < len(reached):
            size = len(reached)
            reached.update(caller for caller, event in calls if event.called in reached)
        return [event.node for _, event in calls if event.called in reached]

    # -- uses ----------------------------------------------------------------------------------

    def _add(self, use: Use) -> None:
        scope = self._tree.function_of(use.node)
        if use.kind is UseKind.METHOD:
            effect = self._effect_of(use)
            if effect is not None:
                self._place(scope, Event(effect, use.node, self._way(use)))
        elif use.kind in (UseKind.ENTERED, UseKind.CLOSED):
            entered = self._program.lifetimes.item_of(use.node)
            if entered is not None:
                self._leaving(scope, entered)
            else:
                self._hand_on(scope, use)
        elif self._machine.takes_tasks and is_run_in_executor(self._program, use):
            self._place(scope, Event(Effect.USE, use.node, self._way(use)))
        elif hands_on(self._program, self._life.made.kind, use):
            if not self._only_joins(use):
                self._hand_on(scope, use)

    def _only_joins(self, use: Use) -> bool:
        """``stack.callback(process.join)``: whoever gets it can't start the process."""
        return use.kind is UseKind.MEMBER and use.name == "join" and not self._machine.takes_tasks

    def _way(self, use: Use) -> Way:
        """How the thing is reached where it is used; ``NOT`` can't be, since it is used."""
        way = self.naming.way(use.at)
        return LOOSE if way is NOT else way

    def _hand_on(self, scope: Scope, use: Use) -> None:
        way = EVERY if use.depth or use.kind is UseKind.MEMBER else self._way(use)
        self._place(scope, Event(Effect.HAND_ON, use.node, way))

    def _effect_of(self, use: Use) -> Effect | None:
        method = self._methods.get(use.name)
        if method is None:
            return None
        if method.shape is not None:
            return Effect.USE if self._machine.takes_tasks else None
        effect = self._machine.effects.get(method.effect)
        cls = self._life.made.cls
        if effect is not None and cls is not None:
            if self._program.evaluator.classes.method(cls, use.name):
                return Effect.HAND_ON  # the subclass has its own way
        return effect

    def _add_loans(self) -> None:
        """``with workers() as pool:`` gets the thing there, and may find it ended afterwards."""
        for loan in loans(self._program, self._life.made.kind, self._life.uses):
            for call, item in loan.items:
                self._calls[item.item] = None
                self._borrowing.add(call)
                scope = self._tree.function_of(item)
                self._place(scope, Event(Effect.MAKE, item.item))
                if loan.is_ended:
                    self._leaving(scope, item)

    def _add_own_methods(self) -> None:
        """What the methods of a subclass do to their own object."""
        cls = self._life.made.cls
        if cls is None:
            return
        for method in self._program.evaluator.classes.methods(cls):
            if method.name.value == "run":
                continue  # that is the child's
            names = positional_names(method.params)
            bindings = self._tree.scopes[method].bindings.get(names[0], ()) if names else ()
            for binding in bindings:
                if binding.kind is Bound.PARAMETER:
                    for use in self._program.uses.of_parameter(binding):
                        if self._tree.function_of(use.at) is self._tree.scopes[method]:
                            self._add(use)

    # -- places --------------------------------------------------------------------------------

    def _place(self, scope: Scope, event: Event) -> None:
        events = self.at.setdefault(scope, {})
        for point in self._program.names.flow(scope).points_of(event.node):
            events.setdefault(point, []).append(event)

    def _leaving(self, scope: Scope, item: cst.WithItem) -> None:
        events = self.at.setdefault(scope, {})
        for point in self._program.names.data_flow(scope).leaves_of(item):
            events.setdefault(point, []).append(Event(Effect.LEAVE, item))

    def _sort(self) -> None:
        """Put the events of one point in the order in which they are done.

        A display (``[Process(…) for …]``) is a new container before it gets its elements.
        """
        for events in self.at.values():
            for at_point in events.values():
                if len(at_point) > 1:
                    at_point.sort(key=self._order)

    def _order(self, event: Event) -> tuple[bool, int, int, bool]:
        return (
            event.effect is not Effect.CLEAR,
            *self._tree.order_of_completion(event.node),
            event.effect is Effect.HOLD,
        )

    def _spread_looseness(self) -> None:
        """A name for what a loose name holds is loose, too."""
        loose = self.naming.loose
        pairs = [pair for at in self.naming.bindings.values() for p in at.values() for pair in p]
        for events in self.at.values():
            pairs += [pair for at_point in events.values() for e in at_point for pair in e.given]
        size = -1
        while size < len(loose):
            size = len(loose)
            for key, way in pairs:
                unsure = way.how is How.LOOSE or (way.how is How.KEY and way.key in loose)
                if unsure or (way.how is How.FRESH and not self.is_entered(way.call)):
                    loose.add(key)

    # -- containers ----------------------------------------------------------------------------

    def _add_containers(self) -> None:
        done: set[cst.CSTNode] = set()
        while len(done) < len(self.naming.containers):
            for site in list(self.naming.containers):
                if site in done:
                    continue
                done.add(site)
                self._clear(site, site)
                for call in self._tree.calls_of.get("clear", ()):
                    if isinstance(call.func, cst.Attribute):
                        values = self._program.values(call.func.value)
                        if any(getattr(v, "site", None) is site for v in values):
                            self._clear(call, site)
                for expression, way in self.naming.holdings(site):
                    self._place(
                        self._tree.function_of(expression),
                        Event(Effect.HOLD, expression, way, container=site),
                    )

    def _clear(self, node: cst.CSTNode, container: cst.CSTNode) -> None:
        scope = self._tree.function_of(node)
        events = self.at.setdefault(scope, {})
        for point in self._program.names.flow(scope).points_of(node):
            events.setdefault(point, []).insert(0, Event(Effect.CLEAR, node, container=container))

    # -- calls ---------------------------------------------------------------------------------

    def _add_calls(self) -> None:
        """Calls of functions of this module in which something happens to the thing."""
        done: set[Scope] = set()
        work = list(self._scopes())
        while work:
            for scope in work:  # callers come in behind
                if scope in done or not scope.is_function:
                    continue
                done.add(scope)
                if isinstance(scope.node, cst.FunctionDef) and self._is_reached(scope):
                    sites = self._program.references.calls(scope.node)
                    if len(sites) > MOST_CALLS:
                        self.are_too_many = True
                        return
                    for site in sites:
                        if site.call in self._borrowing:
                            continue
                        event = self._call(scope, site)
                        if self._is_about_others(scope, event):
                            continue
                        caller = self._tree.function_of(site.call)
                        self._place(caller, event)
                        work.append(caller)
                    if scope.node.name.value in _CONTEXT_METHODS:
                        self._add_with(scope, scope.node)
                    work += self._add_reads(scope.node)
            work = [s for s in self._scopes() if s.is_function and s not in done]

    def _add_reads(self, function: cst.FunctionDef) -> Iterator[Scope]:
        """Reading a property calls it; gives the functions that do."""
        cls = self._program.evaluator.classes.of_method(function)
        if cls is None or not self._program.evaluator.classes.is_property(function):
            return
        if not self.naming.is_only_one(cls):
            return
        for read in self._program.evaluator.members.reads(function.name.value, {cls}):
            reader = self._tree.function_of(read)
            self._place(reader, Event(Effect.CALL, read, called=function))
            yield reader

    def _add_with(self, scope: Scope, function: cst.FunctionDef) -> None:
        """``with Renderer() as renderer:`` calls ``__enter__()`` and ``__exit__()``."""
        cls = self._program.evaluator.classes.of_method(function)
        if cls is None or not self.naming.is_only_one(cls):
            return
        kind = _CONTEXT_METHODS[function.name.value]
        for item in self._tree.nodes(cst.WithItem):
            values = self._program.values(item.item)
            if not any(isinstance(v, Instance) and v.cls is cls for v in values):
                continue
            self.entered.add(scope)
            caller = self._tree.function_of(item)
            events = self.at.setdefault(caller, {})
            flow = self._program.names.data_flow(caller)
            entering = kind is PointKind.ENTER
            for point in flow.flow.points_of(item) if entering else flow.leaves_of(item):
                event = Event(Effect.CALL, item, called=function)
                events.setdefault(point, []).append(event)

    def _scopes(self) -> dict[Scope, None]:
        """Where something happens to the thing, or to a name of others that may hold it."""
        found = dict.fromkeys(self.at)
        for scope, points in self.naming.bindings.items():
            if any(key[0] is not scope for pairs in points.values() for key, _ in pairs):
                found[scope] = None
        return found

    def _is_reached(self, scope: Scope) -> bool:
        """Not the home of a thing that never leaves it: callers have nothing to do with it."""
        if scope is not self.home or len(self.at) > 1:
            return True
        return self.is_returned or any(owner is not scope for owner in self.naming.names)

    @cached_property
    def is_returned(self) -> bool:
        """Does a function return it?"""
        return any(use.kind is UseKind.RETURNED for use in self._life.uses)

    def _call(self, scope: Scope, site: CallSite) -> Event:
        assert isinstance(scope.node, cst.FunctionDef)
        self._calls[site.call] = None
        if not self._is_one_object(site.call):
            return Event(Effect.CALL, site.call)
        return Event(
            Effect.CALL,
            site.call,
            called=scope.node,
            given=tuple(self._given(scope, scope.node, site)),
        )

    def _is_about_others(self, scope: Scope, call: Event) -> bool:
        """Does a function, which gets the thing by its arguments alone, get other ones here?"""
        if scope is self.home or self.naming.containers or not call.given:
            return False
        if any(way.how is not How.NOT for _, way in call.given):
            return False
        around = set(scope.outer())
        return all(
            owner is not None and owner.is_function and owner not in around
            for owner in self.naming.names
        )

    def _is_one_object(self, call: cst.Call) -> bool:
        """False for a method of one of many objects of a class: each has its own."""
        func = call.func
        for value in self._program.values(func):
            receiver = getattr(value, "receiver", None)
            if receiver is None:
                cls = getattr(value, "node", None)
                if isinstance(cls, cst.ClassDef) and cls is not self._life.made.cls:
                    if not self.naming.is_only_one(cls):
                        return False
                continue
            cls = getattr(receiver, "cls", None)
            if cls is None or cls is self._life.made.cls:
                continue
            if getattr(receiver, "site", None) is not None and not self.naming.is_only_one(cls):
                return False
        return True

    def _given(
        self, scope: Scope, function: cst.FunctionDef, site: CallSite
    ) -> Iterator[tuple[Key, Way]]:
        names = positional_names(function.params)
        for name in list(self.naming.names.get(scope, ())):
            if not any(b.kind is Bound.PARAMETER for b in scope.bindings.get(name, ())):
                continue
            given: cst.CSTNode | None = argument(site.call, names, name, skip=site.skip)
            if given is None and site.skip and names and names[0] == name:
                yield (scope, name), self._own_object(site.call)
            elif given is not None:
                yield (scope, name), self.naming.way(given)

    def _own_object(self, call: cst.Call) -> Way:
        """What a method gets as ``self``: what it is called on, or what the call makes."""
        func = call.func
        if not isinstance(func, cst.Attribute):
            return Way(How.FRESH, call=call)
        receiver = func.value
        if isinstance(receiver, cst.Call) and self._tree.qualified(receiver.func) == "super":
            caller = self._tree.function_of(call)
            if isinstance(caller.node, cst.FunctionDef):
                names = positional_names(caller.node.params)
                if names:
                    self.naming.add((caller, names[0]))
                    return Way(How.KEY, (caller, names[0]))
        return self.naming.way(receiver)

    def is_entered(self, call: cst.CSTNode | None) -> bool:
        """Is a call that gives the thing one whose function is entered?"""
        return call is self._life.made.site or call in self._calls

    def _add_escapes(self, scope: Scope) -> None:
        """A function that uses the thing and is itself given away: a callback, a signal handler."""
        if scope is self.home or not scope.is_function:
            return
        for reference in self._program.references.of(scope.node):
            parent = self._tree.parent(reference.node)
            called = isinstance(parent, cst.Call) and parent.func is reference.node
            if not called and not isinstance(parent, cst.Assign):
                self.escaping.add(scope)
                around = self._tree.function_of(reference.node)
                self._place(around, Event(Effect.HAND_ON, reference.node))


def hands_on(program: Program, kind: api.Kind, use: Use) -> bool:
    """Does a thing go where the file does not show what happens to it?"""
    if use.kind is UseKind.MEMBER:
        # A bound method that goes somewhere else: ``atexit.register(pool.terminate)``.
        method = api.METHODS[kind].get(use.name)
        return method is not None and method.effect in MACHINES[kind].effects
    if use.kind not in HANDED_ON or use.kind is UseKind.KEPT:
        return False
    if use.kind is UseKind.YIELDED and _is_lent(program, kind, use):
        return False
    if use.kind is UseKind.RETURNED:
        # In the callers its uses are among the uses; nothing is lost.
        function = program.tree.function_of(use.node).node
        if isinstance(function, cst.FunctionDef):
            if program.references.calls(function) or program.references.entered_by(function):
                return False
            if program.evaluator.classes.is_property(function):
                return False
    return use.name != "contextlib.closing" and not is_run_in_executor(program, use)


def _is_lent(program: Program, kind: api.Kind, use: Use) -> bool:
    """A context manager yields it to ``with`` statements of this module that don't end it."""
    function = program.tree.function_of(use.node).node
    if use.depth or not isinstance(function, cst.FunctionDef):
        return False
    methods = api.METHODS[kind]

    def is_ended(uses: Iterable[Use]) -> bool:
        return any(
            u.name in methods and methods[u.name].effect in MACHINES[kind].effects for u in uses
        )

    tests = list(fixture_users(program, function))
    if tests:
        return not any(is_ended(program.uses.of_parameter(given)) for given in tests)
    if not is_lent_to_known(program, function):
        return False
    return not is_ended(program.uses.of(use.at))


def is_run_in_executor(program: Program, use: Use) -> bool:
    """``loop.run_in_executor(executor, …)``: a task for the executor, and for none else."""
    if use.kind is not UseKind.PASSED or not isinstance(use.node, cst.Call):
        return False
    task = program.task_of(use.node)
    return task is not None and task.name == "run_in_executor" and len(task.receivers) == 1
