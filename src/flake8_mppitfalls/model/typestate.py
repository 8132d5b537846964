"""Typestate: in which states a pool may be when something happens to it.

Typestate (Strom and Yemini 1986) over the control flow of ``syntax/flow.py``. A pool is made,
closed or terminated, and joined; ``with`` leaves it terminated. The states are followed through
the function that makes the pool, through the functions of this module that get it as an argument,
and through those that reach it as a global, by a closure or as an attribute of their class.
Handed on to where the file does not show what happens, the pool has no known state any more.

Exceptions: a state that only an exception leads to is marked, so that a ``join()`` which only an
exception can skip is no finding; and a ``close()`` in a ``try`` body that an exception may have
skipped leaves the state unknown.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.life import Life
from flake8_mppitfalls.model.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.values import Made
from flake8_mppitfalls.syntax.flow import Point, PointKind, constant_truth
from flake8_mppitfalls.syntax.scopes import ScopeKind

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.uses import Use
    from flake8_mppitfalls.syntax.flow import Flow
    from flake8_mppitfalls.syntax.scopes import Scope


class Phase(enum.Enum):
    """Where in its life a pool is."""

    ABSENT = "not made yet"
    RUNNING = "running"
    CLOSED = "closed"
    TERMINATED = "terminated"
    JOINED = "joined"
    LEFT = "left by with"
    UNKNOWN = "unknown"


class State(NamedTuple):
    """One way a pool may be at a point.

    ``event`` is the ``close()`` or ``terminate()`` that brought it there; ``thrown`` says that
    only an exception leads from that event to this point.
    """

    phase: Phase
    event: cst.CSTNode | None = None
    thrown: bool = False
    known: frozenset[tuple[str, bool]] = frozenset()
    """Tests that came out so on this path, of those that decide about events."""


MOST_TESTS = 6
"""With more deciding tests than this the paths are not told apart by them."""

ABSENT = State(Phase.ABSENT)
RUNNING = State(Phase.RUNNING)
UNKNOWN_STATE = State(Phase.UNKNOWN)

_OPEN_ENDED = (Phase.CLOSED, Phase.TERMINATED)


class Effect(enum.Enum):
    """What an event does to a pool."""

    MAKE = "make"
    CLOSE = "close"
    TERMINATE = "terminate"
    JOIN = "join"
    LEAVE = "leave"
    HAND_ON = "hand on"
    CALL = "call"


@dataclass(slots=True, eq=False)
class Event:
    """Something that happens to a pool at a node; for ``CALL`` in the called function."""

    effect: Effect
    node: cst.CSTNode
    called: cst.CSTNode | None = None


_EFFECTS = {"close": Effect.CLOSE, "terminate": Effect.TERMINATE, "join": Effect.JOIN}


class Typestate:
    """The data flow for one pool."""

    def __init__(self, program: Program, life: Life) -> None:
        self._program = program
        self._tree = program.tree
        self._life = life
        self._methods = api.METHODS[life.made.kind]
        self._events: dict[Scope, dict[Point, list[Event]]] = {}
        self._summaries: dict[tuple[Scope, State], frozenset[State]] = {}
        self._joined: set[cst.CSTNode] = set()
        self._unjoined: dict[cst.Call, bool] = {}
        self._early: dict[cst.Call, None] = {}
        self._home = self._tree.function_of(life.made.site)
        self._ending = life.calls("close", "terminate")
        self._escaping: set[Scope] = set()
        self._deciding: set[str] | None = None

    def run(self) -> None:
        life = self._life
        if life.is_one_of_many:
            self._judge_roughly()
            return
        for use in life.uses:
            self._add(use)
        self._add_calls()
        self._place(self._home, life.made.site, Effect.MAKE)
        # Functions that have the pool from their callers are followed from there; a function
        # that nobody here calls, and that reaches it as an attribute or global, starts itself.
        self._analyse(self._home, frozenset({ABSENT}))
        reached = self._reached_from_home()
        for scope in list(self._events):
            if scope is not self._home and scope not in reached:
                self._analyse(scope, frozenset({self._at_start_of(scope)}))
        self._judge()

    # -- events --------------------------------------------------------------------------------

    def _add(self, use: Use) -> None:
        scope = self._tree.function_of(use.node)
        if use.kind is UseKind.METHOD:
            method = self._methods.get(use.name)
            effect = _EFFECTS.get(method.effect) if method is not None else None
            cls = self._life.made.cls
            if cls is not None and self._program.evaluator.classes.method(cls, use.name):
                effect = Effect.HAND_ON  # the subclass has its own way of ending
            if effect is not None:
                self._place(scope, use.node, effect)
        elif use.kind is UseKind.ENTERED:
            entered = self._program.lifetimes.item_of(use.node)
            if entered is not None:
                self._leaving(scope, entered)
            else:
                self._place(scope, use.node, Effect.HAND_ON)
        elif use.kind is UseKind.PASSED and use.name == "contextlib.closing":
            item = self._tree.parent(use.node)
            if isinstance(item, cst.WithItem):
                self._leaving(scope, item)
            else:
                self._place(scope, use.node, Effect.HAND_ON)
        elif use.kind in HANDED_ON and use.kind is not UseKind.KEPT:
            if use.kind is UseKind.RETURNED and self._is_followed(use):
                return
            self._place(scope, use.node, Effect.HAND_ON)
        elif self._is_ending_member(use):
            self._place(scope, use.node, Effect.HAND_ON)

    def _is_ending_member(self, use: Use) -> bool:
        """A bound method that goes somewhere else: ``atexit.register(pool.terminate)``."""
        return (
            use.kind is UseKind.MEMBER
            and use.name in self._methods
            and self._methods[use.name].effect in _EFFECTS
        )

    def _is_followed(self, use: Use) -> bool:
        """``return pool``: its uses in the callers are among the uses; nothing is lost."""
        function = self._tree.function_of(use.node).node
        return isinstance(function, cst.FunctionDef) and bool(
            self._program.references.calls(function)
        )

    def _place(
        self, scope: Scope, node: cst.CSTNode, effect: Effect, called: cst.CSTNode | None = None
    ) -> None:
        points = self._program.evaluator.flow(scope).points_of(node)
        events = self._events.setdefault(scope, {})
        for point in points:
            events.setdefault(point, []).append(Event(effect, node, called))

    def _leaving(self, scope: Scope, item: cst.WithItem) -> None:
        events = self._events.setdefault(scope, {})
        for point in self._program.evaluator.flow(scope).points:
            if point.kind is PointKind.LEAVE and point.node is item:
                events.setdefault(point, []).append(Event(Effect.LEAVE, item))

    def _add_calls(self) -> None:
        """Calls of functions of this module in which something happens to the pool."""
        done: set[Scope] = set()
        for scope in list(self._events):
            self._add_escapes(scope)
        work = [scope for scope in self._events if scope.is_function]
        if self._home.is_function and self._is_returned():
            work.append(self._home)
        while work:
            scope = work.pop()
            if scope in done or not isinstance(scope.node, cst.FunctionDef):
                continue
            done.add(scope)
            for site in self._program.references.calls(scope.node):
                caller = self._tree.function_of(site.call)
                self._place(caller, site.call, Effect.CALL, scope.node)
                if caller.is_function:
                    work.append(caller)

    def _add_escapes(self, scope: Scope) -> None:
        """A function that uses the pool and is itself given away: a callback, a signal handler."""
        if scope is self._home or not scope.is_function:
            return
        for reference in self._program.references.of(scope.node):
            parent = self._tree.parent(reference.node)
            called = isinstance(parent, cst.Call) and parent.func is reference.node
            if not called and not isinstance(parent, cst.Assign):
                self._escaping.add(scope)
                around = self._tree.function_of(reference.node)
                self._place(around, reference.node, Effect.HAND_ON)

    def _is_returned(self) -> bool:
        return any(use.kind is UseKind.RETURNED for use in self._life.uses)

    def _reached_from_home(self) -> set[Scope]:
        """The functions whose states come from a caller that was analysed."""
        return {scope for scope, _ in self._summaries}

    def _at_start_of(self, scope: Scope) -> State:
        """The state in a function that finds the pool where another one left it.

        A pool that nobody else ends is running there.
        """
        others = [call for call in self._ending if self._tree.function_of(call) is not scope]
        if others or self._is_handed_on():
            return UNKNOWN_STATE
        return RUNNING

    def _is_handed_on(self) -> bool:
        return any(
            (
                use.kind in HANDED_ON
                and use.kind is not UseKind.KEPT
                and use.name != "contextlib.closing"
                and not self._is_kept_here(use)
            )
            or self._is_ending_member(use)
            for use in self._life.uses
        )

    def _is_kept_here(self, use: Use) -> bool:
        return use.kind is UseKind.RETURNED and self._is_followed(use)

    # -- data flow -----------------------------------------------------------------------------

    def _analyse(self, scope: Scope, start: frozenset[State]) -> frozenset[State]:
        """Run the states through one function; what holds at its normal end."""
        flow = self._program.evaluator.flow(scope)
        events = self._events.get(scope, {})

        def transfer(point: Point, facts: frozenset[object]) -> frozenset[object]:
            for event in self._in_order(events.get(point, ())):
                facts = self._apply(event, facts)
            return self._passed(point, facts)

        def thrown(point: Point, facts: frozenset[object]) -> frozenset[object]:
            for event in events.get(point, ()):
                if event.effect is Effect.HAND_ON:
                    facts = self._apply(event, facts)
            return self._thrown(point, facts)

        before = flow.forward(frozenset(start), transfer, thrown, self._taken)
        ended = before.get(flow.exit, frozenset())
        raised = before.get(flow.raised, frozenset())
        self._at_end(scope, ended, flow, raised=False)
        self._at_end(scope, raised, flow, raised=True)
        return frozenset(s for s in ended if isinstance(s, State))

    def _in_order(self, events: list[Event] | tuple[()]) -> list[Event]:
        if len(events) < 2:
            return list(events)
        return sorted(events, key=lambda e: self._tree.order_of_completion(e.node))

    def _apply(self, event: Event, facts: frozenset[object]) -> frozenset[object]:
        result: set[object] = set()
        for state in facts:
            assert isinstance(state, State)
            result.update(after._replace(known=state.known) for after in self._after(event, state))
        return frozenset(result)

    def _after(self, event: Event, state: State) -> set[State] | frozenset[State]:
        effect, phase = event.effect, state.phase
        if effect is Effect.CALL:
            return self._called(event, state)
        if effect is Effect.MAKE:
            if phase in _OPEN_ENDED:
                self._end(state, weak=False)
            return {RUNNING}
        if effect is Effect.HAND_ON:
            return {UNKNOWN_STATE}
        if phase is Phase.ABSENT:
            return {state}
        if effect is Effect.LEAVE:
            if phase in _OPEN_ENDED and state.event is not None:
                self._joined.add(state.event)
            return {State(Phase.LEFT)}
        if effect is Effect.JOIN:
            if phase in _OPEN_ENDED and state.event is not None:
                self._joined.add(state.event)
            elif phase is Phase.RUNNING:
                if not state.thrown and isinstance(event.node, cst.Call):
                    self._early[event.node] = None
                return set()  # it raises: nothing runs on
            return {State(Phase.JOINED)}
        if phase in (Phase.RUNNING, Phase.UNKNOWN):
            if phase is Phase.UNKNOWN and (self._escaping or self._is_handed_on()):
                return {state}
            wanted = Phase.CLOSED if effect is Effect.CLOSE else Phase.TERMINATED
            return {State(wanted, event.node)}
        if phase is Phase.JOINED:
            self._joined.add(event.node)
        if effect is Effect.TERMINATE and phase is Phase.CLOSED:
            if state.event is not None:
                self._joined.add(state.event)  # terminate() takes the obligation over
            return {State(Phase.TERMINATED, event.node)}
        return {state}

    def _called(self, event: Event, state: State) -> frozenset[State]:
        assert event.called is not None
        scope = self._tree.scopes[event.called]
        state = state._replace(known=frozenset())
        key = (scope, state)
        if key not in self._summaries:
            self._summaries[key] = frozenset({state})  # for recursion
            self._summaries[key] = self._analyse(scope, frozenset({state}))
        return self._summaries[key]

    def _passed(self, point: Point, facts: frozenset[object]) -> frozenset[object]:
        """What a point does to the states besides its events: assignments, re-raising."""
        if point.kind is PointKind.RERAISE and isinstance(point.node, (cst.Try, cst.TryStar)):
            if self._ends_in(point.node):
                return _forget_running(facts)
        if isinstance(point.node, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
            return self._assigned(point.node, facts)
        return facts

    def _thrown(self, point: Point, facts: frozenset[object]) -> frozenset[object]:
        """The states that an exception carries out of a point."""
        deliberate = isinstance(point.node, (cst.Raise, cst.Expr)) and not point.successors
        target = point.exceptional[0] if point.exceptional else None
        block = target.node if target is not None else None
        if block is not None and not deliberate and self._skips_ending(block):
            facts = _forget_running(facts)
        result: set[object] = set()
        for state in facts:
            assert isinstance(state, State)
            result.add(state._replace(thrown=True) if state.phase in _OPEN_ENDED else state)
        return frozenset(result)

    def _skips_ending(self, block: cst.CSTNode) -> bool:
        """Does an exception that arrives at ``block`` skip a close() or terminate()?"""
        if isinstance(block, cst.Finally):
            statement = self._tree.parent(block)
            return statement is not None and self._ends_in(statement)
        if isinstance(block, (cst.Try, cst.TryStar)):
            return self._ends_in(block.body) or (
                block.orelse is not None and self._ends_in(block.orelse)
            )
        return self._ends_in(getattr(block, "body", block))

    def _ends_in(self, block: cst.CSTNode) -> bool:
        final = getattr(block, "finalbody", None)
        return any(
            self._tree.is_within(call, block)
            and (final is None or not self._tree.is_within(call, final))
            for call in self._ending
        )

    # -- tests ---------------------------------------------------------------------------------

    def _taken(self, point: Point, target: Point, facts: frozenset[object]) -> frozenset[object]:
        """The states that go on to one side of a test."""
        truth = target is point.when_true
        test = point.node
        if test is None or not isinstance(test, cst.BaseExpression):
            return facts
        there = self._says_there_is_one(test)
        if there is not None and there is not truth:
            return frozenset(s for s in facts if isinstance(s, State) and s.phase is Phase.ABSENT)
        return self._narrowed(facts, _implied(test, truth))

    def _narrowed(
        self, facts: frozenset[object], implied: list[tuple[cst.BaseExpression, bool]]
    ) -> frozenset[object]:
        """Keep the states that agree with what a test says, and remember it."""
        said = [(self._text(node), truth) for node, truth in implied]
        said = [(text, truth) for text, truth in said if text in self._deciding_tests()]
        if not said:
            return facts
        result: set[object] = set()
        for state in facts:
            assert isinstance(state, State)
            if not any((text, not truth) in state.known for text, truth in said):
                result.add(state._replace(known=state.known | set(said)))
        return frozenset(result)

    def _assigned(
        self, node: cst.Assign | cst.AnnAssign | cst.AugAssign, facts: frozenset[object]
    ) -> frozenset[object]:
        """Forget what was known of a name that gets a new value; ``closed = True`` is known."""
        if isinstance(node, cst.Assign):
            targets = [self._text(t.target) for t in node.targets]
        else:
            targets = [self._text(node.target)]
        touched = {t for t in self._deciding_tests() if any(_mentions(t, x) for x in targets)}
        if not touched:
            return facts
        truth = (
            None
            if isinstance(node, cst.AugAssign) or not node.value
            else (constant_truth(node.value))
        )
        new = {(t, truth) for t in targets if t in touched} if truth is not None else set()
        result: set[object] = set()
        for state in facts:
            assert isinstance(state, State)
            kept = {(text, value) for text, value in state.known if text not in touched}
            result.add(state._replace(known=frozenset(kept | new)))
        return frozenset(result)

    def _deciding_tests(self) -> set[str]:
        """The texts of the tests under which the pool is made or something happens to it."""
        if self._deciding is None:
            self._deciding = set()
            nodes = [self._life.made.site, *self._life.calls("close", "terminate", "join")]
            for node in nodes:
                for parent in self._tree.ancestors(node):
                    if isinstance(parent, cst.FunctionDef):
                        break
                    if isinstance(parent, (cst.If, cst.IfExp)):
                        for truth in (True, False):
                            atoms = _implied(parent.test, truth)
                            self._deciding.update(self._text(atom) for atom, _ in atoms)
            if len(self._deciding) > MOST_TESTS:
                self._deciding = set()
        return self._deciding

    def _says_there_is_one(self, test: cst.BaseExpression) -> bool | None:
        """``True`` for ``if pool:``, ``False`` for ``if pool is None:``, else ``None``."""
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            inner = self._says_there_is_one(test.expression)
            return None if inner is None else not inner
        if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
            operator = test.comparisons[0].operator
            other = test.comparisons[0].comparator
            if isinstance(other, cst.Name) and other.value == "None" and self._is_it(test.left):
                if isinstance(operator, (cst.IsNot, cst.NotEqual)):
                    return True
                if isinstance(operator, (cst.Is, cst.Equal)):
                    return False
            return None
        return True if self._is_it(test) else None

    def _is_it(self, node: cst.BaseExpression) -> bool:
        if not isinstance(node, (cst.Name, cst.Attribute)):
            return False
        return any(
            isinstance(v, Made) and v.site is self._life.made.site
            for v in self._program.values(node)
        )

    def _text(self, node: cst.BaseExpression) -> str:
        return self._tree.module.code_for_node(node)

    # -- judgement -----------------------------------------------------------------------------

    def _at_end(self, scope: Scope, facts: frozenset[object], flow: Flow, *, raised: bool) -> None:
        """Note the pools that are closed or terminated and not joined where a scope ends."""
        if self._goes_on_elsewhere(scope):
            return
        for state in facts:
            if isinstance(state, State) and state.phase in _OPEN_ENDED:
                self._end(state, weak=raised or state.thrown)

    def _end(self, state: State, *, weak: bool) -> None:
        if isinstance(state.event, cst.Call):
            self._unjoined[state.event] = self._unjoined.get(state.event, True) and weak

    def _goes_on_elsewhere(self, scope: Scope) -> bool:
        """True if a caller of this scope has the pool too, so that its end is not the end."""
        if not isinstance(scope.node, cst.FunctionDef):
            return False
        callers = self._program.references.calls(scope.node)
        if scope is self._home:
            return self._is_returned() and bool(callers)
        if callers:
            return True
        return self._has_it_from_callers(scope)

    def _has_it_from_callers(self, scope: Scope) -> bool:
        """The pool is a parameter here, and nobody in this module shows what comes after."""
        for use in self._life.uses:
            if self._tree.function_of(use.at) is scope and isinstance(use.at, cst.Name):
                owner = self._tree.scope_of(use.at).owner_of(use.at.value)
                if owner is scope and any(
                    isinstance(b.node, cst.Param) for b in owner.bindings[use.at.value]
                ):
                    return True
        return False

    def _judge(self) -> None:
        joins = self._life.calls("join")
        for event, weak in self._unjoined.items():
            if weak and event in self._joined:
                continue  # only an exception skips the join()
            here = self._tree.function_of(event)
            if any(self._may_follow(join, here) for join in joins):
                continue
            self._life.unjoined.append(event)
        self._life.early_joins = [j for j in self._early if not self._may_be_ended_before(j)]

    def _may_be_ended_before(self, join: cst.Call) -> bool:
        """Was the pool given away, earlier in the text, to something that may end it?"""
        return any(
            event.effect is Effect.HAND_ON and self._tree.before(event.node, join)
            for events in self._events.get(self._tree.function_of(join), {}).values()
            for event in events
        )

    def _may_follow(self, join: cst.Call, here: Scope) -> bool:
        """A ``join()`` elsewhere, in code that no analysed path from the event leads to."""
        there = self._tree.function_of(join)
        if there is not here and here in self._escaping:
            return True
        if there is here or there in self._reached_from_home():
            return False
        if there.kind is ScopeKind.MODULE and here.kind is ScopeKind.MODULE:
            return False
        return there is not self._home

    def _judge_roughly(self) -> None:
        """One of many: only what no call anywhere puts right."""
        if any(use.kind in HANDED_ON for use in self._life.uses):
            return
        joins = self._life.calls("join")
        if not joins:
            self._life.unjoined = list(self._ending)
        elif not self._ending and not self._life.entered:
            self._life.early_joins = list(joins)


def _forget_running(facts: frozenset[object]) -> frozenset[object]:
    """A pool that ran may have been ended since."""
    return frozenset(
        state._replace(phase=Phase.UNKNOWN)
        if isinstance(state, State) and state.phase is Phase.RUNNING
        else state
        for state in facts
    )


def _implied(test: cst.BaseExpression, truth: bool) -> list[tuple[cst.BaseExpression, bool]]:
    """The simple tests whose outcome follows from the outcome of ``test``."""
    found: list[tuple[cst.BaseExpression, bool]] = []
    work = [(test, truth)]
    while work:
        node, value = work.pop()
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            work.append((node.expression, not value))
        elif isinstance(node, cst.BooleanOperation):
            if isinstance(node.operator, cst.And) is value:
                work += [(node.left, value), (node.right, value)]
        else:
            found.append((node, value))
    return found


def _mentions(text: str, name: str) -> bool:
    """Does the text of a test contain a name (or attribute) as a whole?"""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None
