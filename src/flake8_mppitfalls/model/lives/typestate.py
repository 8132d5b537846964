"""Typestate: in which phases a pool, executor or process may be when something happens to it.

Typestate (Strom and Yemini 1986) over the control flow of ``syntax/flow.py``. What a phase is and
what leads to it says the state machine of its kind (``machine.py``). Followed is one of the things
that a call makes, any one: through the function that makes it, through the functions of this
module that get it as an argument, and through those that reach it as a global, by a closure or as
an attribute of their class. A state says by which names and in which containers the thing is held
(``naming.py``), so that what happens to another one from the same call is told apart. Handed on to
where the file does not show what happens, the thing has no known phase any more.

Exceptions: a state that only an exception leads to is marked, so that a ``join()`` which only an
exception can skip is no finding; and a ``close()`` in a ``try`` body that an exception may have
skipped leaves the phase unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.lives.decisions import (
    MOST_DECIDING,
    Decisions,
    asked_for,
    says_there_is_one,
)
from flake8_mppitfalls.model.lives.events import Event, Events
from flake8_mppitfalls.model.lives.lasting import Lasting
from flake8_mppitfalls.model.lives.life import Life
from flake8_mppitfalls.model.lives.machine import MACHINES, Effect, Phase
from flake8_mppitfalls.model.lives.naming import How, Key, Way, in_order
from flake8_mppitfalls.model.lives.state import ABSENT, State
from flake8_mppitfalls.model.lives.transitions import Transitions
from flake8_mppitfalls.model.lives.verdict import Record, Verdict, judge_roughly
from flake8_mppitfalls.model.values import is_made_at
from flake8_mppitfalls.syntax.flow import Point, PointKind
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.dataflow import DataFlow
    from flake8_mppitfalls.syntax.scopes import Scope

_READ = (UseKind.METHOD, UseKind.MEMBER)
_JUNCTIONS = (PointKind.CATCH, PointKind.HANDLER, PointKind.RERAISE, PointKind.LEAVE)
"""Points that only lead on what was thrown elsewhere, or end a ``with`` block."""

DEEPEST = 30
"""How many calls deep something is followed before its state is unknown."""

MOST_STATES = 60
"""With more states after one event, nothing is known of the thing there."""

MOST_MEETING = 60
"""So it is with more states where paths meet."""


class Typestate:
    """The data flow for one thing."""

    def __init__(self, program: Program, life: Life, *, strict: bool = False) -> None:
        """``strict``: exceptions count; asked is where the thing may be left as it was made."""
        self._program = program
        self._tree = program.tree
        self._life = life
        self._strict = strict
        self._machine = MACHINES[life.made.kind]
        self._events = Events(program, life, self._machine, lent=not strict)
        self._naming = self._events.naming
        self._home = self._events.home
        self._summaries: dict[tuple[Scope, State], frozenset[State]] = {}
        self._followed: set[Scope] = set()  # functions whose states come from a caller
        self._record = Record()
        self._transitions = Transitions(program, life, self._events, self._record)
        self._depth = 0
        self._settling = self._events.nodes(*self._machine.settling)
        self._attributes = {use.name for use in life.uses if use.kind in _READ}
        self._lasting = Lasting(program, self._naming.is_only_one)
        places = self._deciding()
        self._decisions = Decisions(
            self._tree, places, self._is_changed, self._lasting.early(places)
        )
        self._lasting.take(self._decisions.tests)

    def run(self) -> None:
        """Follow the thing from where it is made, then judge."""
        if self._life.is_one_of_many and self._machine.takes_tasks:
            judge_roughly(self._life)
            return
        if self._events.are_too_many:
            return
        for scope in (self._home, *self._events.at):
            if sum(1 for _ in self._deciding_in(scope)) > MOST_DECIDING:
                return
        # Functions that have the thing from their callers are followed from there; a function
        # that nobody here calls, and that reaches it as an attribute or global, starts itself.
        self._analyse(self._home, frozenset({self._first_state()}))
        for scope in list(self._events.at):
            if scope is not self._home and scope not in self._followed:
                self._analyse(scope, frozenset({ABSENT, self._at_start_of(scope)}))
        verdict = Verdict(self._tree, self._life, self._events, self._record, self._followed)
        verdict.judge(self._machine.first)

    def _first_state(self) -> State:
        parameter = self._life.parameter
        if parameter is None:
            return ABSENT
        return State(Phase.UNKNOWN, names=frozenset({(parameter.scope, parameter.name)}))

    def _deciding(self) -> list[cst.CSTNode]:
        """The places whose tests tell paths apart: making and ending it."""
        return self._events.nodes(
            Effect.MAKE, Effect.START, Effect.CLOSE, Effect.TERMINATE, Effect.JOIN
        )

    def _is_changed(self, part: cst.CSTNode) -> bool:
        """``p.exitcode``, ``p.is_alive``: what an attribute of the thing says does not stay."""
        if not isinstance(part, cst.Attribute):
            return False
        return part.attr.value in self._attributes and self._is_it(part.value)

    def _at_start_of(self, scope: Scope) -> State:
        """The state in a function that finds the thing where another one left it.

        What nobody else ends (or starts) is there as it was made.
        """
        others = any(self._tree.function_of(node) is not scope for node in self._settling)
        phase = self._machine.first
        if others or self._life.is_handed_on or self._life.parameter is not None:
            phase = Phase.UNKNOWN
        around = {None, *scope.outer()}
        return State(
            phase,
            names=frozenset(
                (owner, name)
                for owner in (*around, scope)
                for name in self._naming.names.get(owner, ())
                if owner is not scope or self._is_parameter((owner, name))
            ),
            containers=frozenset(self._naming.containers),
        )

    def _is_parameter(self, key: Key) -> bool:
        owner, name = key
        return owner is not None and any(
            b.kind is Bound.PARAMETER for b in owner.bindings.get(name, ())
        )

    # -- data flow -----------------------------------------------------------------------------

    def _analyse(self, scope: Scope, start: frozenset[State]) -> frozenset[State]:
        """Run the states through one function; what holds at its normal end."""
        self._program.lifetimes.followed += 1
        flow = self._program.names.data_flow(scope)
        events = self._events.at.get(scope, {})
        bindings = self._naming.bindings.get(scope, {})

        def transfer(point: Point, facts: frozenset[object]) -> frozenset[object]:
            states = _states(facts)
            if point in events:
                for _, alternatives in groupby(events[point], _place_of):
                    states = self._apply_one(list(alternatives), states)
            if point in bindings:
                for key, way in in_order(bindings[point]):
                    states = self._bind(point, key, way, states)
            return self._passed(point, states)

        def thrown(point: Point, facts: frozenset[object]) -> frozenset[object]:
            states = _states(facts)
            for event in events.get(point, ()):
                if event.effect is Effect.HAND_ON:
                    states = self._apply(event, states)
            return self._thrown(point, states)

        places = None if self._strict else self._places(flow, events)
        before = flow.forward(
            start,
            transfer,
            thrown,
            self._taken,
            begin=self._begin(start, events),
            places=places,
            most=MOST_MEETING,
            too_many=frozenset({State(Phase.UNKNOWN)}),
        )
        if self._strict and not self._goes_on_elsewhere(scope):
            for point, facts in before.items():
                self._may_be_left_at(point, _states(facts))
        ended = _states(before.get(flow.flow.exit, frozenset()))
        self._at_end(scope, ended, raised=False)
        self._at_end(scope, _states(before.get(flow.flow.raised, frozenset())), raised=True)
        return ended

    def _begin(
        self, start: frozenset[State], events: Mapping[Point, list[Event]]
    ) -> list[Point] | None:
        """Where the thing may come to be, if it is nowhere yet and no test decides before.

        The callers of a function ask how it goes on where the thing is still nowhere.
        """
        if self._depth or self._strict or self._decisions.texts or start != frozenset({ABSENT}):
            return None
        makes = (Effect.MAKE, Effect.CALL)
        return [p for p, at_point in events.items() if any(e.effect in makes for e in at_point)]

    def _places(self, flow: DataFlow, events: Mapping[Point, list[Event]]) -> set[Point]:
        """The points of a function at which anything may change for the thing."""
        scope = flow.flow.scope
        places = {*events, *self._naming.bindings.get(scope, ())}
        places.update(head for head in self._naming.heads if head in flow.index)
        if self._events.is_returned:
            for node in scope.returns:
                places.update(flow.flow.points_of(node))
        places.update(flow.reraising(self._settled))
        places.update(self._program.lifetimes.tests_for(scope, self._life.made.site))
        places.update(self._deciding_in(scope))
        return places

    def _deciding_in(self, scope: Scope) -> Iterable[Point]:
        tests = self._decisions.texts
        return self._program.lifetimes.deciding(scope).of(tests) if tests else ()

    def _apply_one(self, events: list[Event], states: frozenset[State]) -> frozenset[State]:
        """Apply an event; of the functions that one call may be of, it is one."""
        if len(events) == 1:
            return self._apply(events[0], states)
        return frozenset().union(*(self._apply(event, states) for event in events))

    def _apply(self, event: Event, states: frozenset[State]) -> frozenset[State]:
        result: set[State] = set()
        for state in states:
            if event.effect is Effect.CALL:
                result.update(self._called(event, state))
            else:
                result.update(self._transitions.after(event, state))
        if len(result) > MOST_STATES:
            return frozenset({State(Phase.UNKNOWN)})
        return frozenset(result)

    def _called(self, event: Event, state: State) -> Iterable[State]:
        if event.called is None:
            if state.phase is Phase.ABSENT:
                return (state,)
            return (state._replace(phase=Phase.UNKNOWN, event=None),)
        scope = self._tree.scopes[event.called]
        seen = self._visible_from(scope)
        names = {key for key in state.names if key[0] in seen and key[0] is not scope}
        kept = frozenset(key for key in state.names if key[0] not in seen)
        for key, way in event.given:
            if self._transitions.applies(way, state):
                names.add(key)
        known = self._lasting.entering(state.known, event.node, scope)
        start = state._replace(known=known, names=frozenset(names), fresh=None)
        key_of_summary = (scope, start)
        if key_of_summary not in self._summaries:
            if self._depth >= DEEPEST:
                return (state._replace(phase=Phase.UNKNOWN, event=None),)
            self._summaries[key_of_summary] = frozenset({start})  # for recursion
            self._followed.add(scope)
            self._depth += 1
            self._summaries[key_of_summary] = self._analyse(scope, frozenset({start}))
            self._depth -= 1
        return [
            after._replace(
                known=self._lasting.leaving(state.known, after.known, event.node, scope),
                names=kept.union(key for key in after.names if key[0] is not scope),
                fresh=event.node if after.given else state.fresh,
                given=state.given,
            )
            for after in self._summaries[key_of_summary]
        ]

    def _visible_from(self, scope: Scope) -> set[Scope | None]:
        """The scopes whose names a function, and what it calls, may know the thing by.

        A summary of a function without the names that only its caller has holds for all callers.
        """
        return {None, *scope.outer(), *self._tree.enclosing_functions}

    def _bind(self, point: Point, key: Key, way: Way, states: frozenset[State]) -> frozenset[State]:
        """A name gets a value: the thing, or something else."""
        result: set[State] = set()
        for state in states:
            without = state._replace(names=state.names - {key})
            if not self._transitions.applies(way, state):
                result.add(without)
            elif way.how is How.EACH and point.kind is PointKind.BIND:
                # The loop comes to the thing once, and at other times to others.
                result.add(without)
                if (point, key) not in state.loops:
                    result.add(
                        state._replace(
                            names=state.names | {key}, loops=state.loops | {(point, key)}
                        )
                    )
            else:
                result.add(state._replace(names=state.names | {key}))
        return frozenset(result)

    def _passed(self, point: Point, states: frozenset[State]) -> frozenset[State]:
        """What a point does to the states besides its events: assignments, re-raising."""
        node = point.node
        if point.kind is PointKind.RERAISE and isinstance(node, (cst.Try, cst.TryStar)):
            if self._strict and _catches_errors(node):
                return frozenset()  # only Ctrl-C and the like get here
            if self._settles_in(node):
                states = self._forget(states)
        if isinstance(node, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
            known = self._decisions.assigned
            states = frozenset(s._replace(known=known(s.known, node)) for s in states)
        elif isinstance(node, cst.Return) and node.value is not None:
            states = self._returning(node.value, states)
        if any(state.fresh is not None for state in states):
            states = frozenset(s._replace(fresh=None) for s in states)
        return states

    def _returning(self, value: cst.BaseExpression, states: frozenset[State]) -> frozenset[State]:
        if not self._events.is_returned:
            return states
        way = self._naming.way(value)
        if way.how is How.NOT:
            return states
        return frozenset(
            s._replace(given=self._transitions.applies(way, s) is not False)
            if s.phase is not Phase.ABSENT
            else s
            for s in states
        )

    def _thrown(self, point: Point, states: frozenset[State]) -> frozenset[State]:
        """The states that an exception carries out of a point."""
        deliberate = isinstance(point.node, (cst.Raise, cst.Expr)) and not point.successors
        target = point.exceptional[0] if point.exceptional else None
        block = target.node if target is not None else None
        if block is not None and not deliberate and self._skips_settling(block):
            states = self._forget(states)
        owing = self._machine.owing
        return frozenset(s._replace(thrown=True) if s.phase in owing else s for s in states)

    def _may_be_left_at(self, point: Point, states: frozenset[State]) -> None:
        """Note that an exception out of a point, caught by nobody, leaves the thing as it was."""
        if point.kind in _JUNCTIONS or point.exceptional or point.node is None:
            return
        if self._settles_in(point.node):
            return
        if any(state.phase is self._machine.first for state in states):
            if any(isinstance(node, cst.Call) for node in self._tree.walk(point.node)):
                self._life.is_left_by_exception = True

    def _forget(self, states: frozenset[State]) -> frozenset[State]:
        """What was as it was made may have been ended (or started) since."""
        if self._strict:
            return states
        first = self._machine.first
        return frozenset(
            s._replace(phase=Phase.UNKNOWN, event=None) if s.phase is first else s for s in states
        )

    def _skips_settling(self, block: cst.CSTNode) -> bool:
        """Does an exception that arrives at ``block`` skip a close(), terminate() or start()?"""
        if isinstance(block, cst.Finally):
            statement = self._tree.parent(block)
            return statement is not None and self._settles_in(statement)
        if isinstance(block, (cst.Try, cst.TryStar)):
            return self._settles_in(block.body) or (
                block.orelse is not None and self._settles_in(block.orelse)
            )
        return self._settles_in(getattr(block, "body", block))

    def _settles_in(self, block: cst.CSTNode) -> bool:
        return block in self._settled

    @cached_property
    def _settled(self) -> set[cst.CSTNode]:
        """What holds a close(), terminate() or start(); a ``try`` not for what its end holds."""
        found: set[cst.CSTNode] = set()
        for node in (*self._settling, *self._events.calls_that_reach(self._settling)):
            found.add(node)
            child = node
            for parent in self._tree.ancestors(node):
                if child is not getattr(parent, "finalbody", None):
                    found.add(parent)
                child = parent
        return found

    # -- tests ---------------------------------------------------------------------------------

    def _taken(self, point: Point, target: Point, facts: frozenset[object]) -> frozenset[object]:
        """The states that go on to one side of a test, or out of a loop."""
        truth = target is point.when_true
        if point.kind is PointKind.LOOP:
            return facts if truth else self._exhausted(point, _states(facts))
        test = point.node
        if test is None or not isinstance(test, cst.BaseExpression):
            return facts
        states = _states(facts)
        there = says_there_is_one(test, self._is_it)
        if there is not None and there is not truth:
            states = frozenset(s for s in states if not self._is_there(test, s))
        result: set[State] = set()
        for state in states:
            known = self._decisions.taken(state.known, test, truth)
            if known is not None:
                result.add(state._replace(known=known))
        return frozenset(result)

    def _exhausted(self, head: Point, states: frozenset[State]) -> frozenset[State]:
        """A loop over a container that holds the thing ends only after it came to it."""
        loops = self._naming.heads.get(head)
        if not loops:
            return states
        result: set[State] = set()
        for state in states:
            mine = {
                (point, key)
                for point, keys in loops.items()
                for key, containers in keys.items()
                if containers & state.containers
            }
            if mine <= state.loops:
                names = state.names - {key for _, key in mine}
                result.add(state._replace(loops=state.loops - mine, names=names))
        return frozenset(result)

    def _is_it(self, node: cst.BaseExpression) -> bool:
        if not isinstance(node, (cst.Name, cst.Attribute)):
            return False
        return is_made_at(self._program.values(node), self._life.made.site)

    def _is_there(self, test: cst.BaseExpression, state: State) -> bool:
        """Does what the test asks for hold the thing?"""
        return state.phase is not Phase.ABSENT and (
            self._transitions.applies(self._naming.way(asked_for(test)), state) is not False
        )

    # -- judgement -----------------------------------------------------------------------------

    def _at_end(self, scope: Scope, states: frozenset[State], *, raised: bool) -> None:
        """Note how the thing may be where a scope ends."""
        if self._goes_on_elsewhere(scope):
            return
        for state in states:
            if state.phase is Phase.ABSENT:
                continue
            weak = raised or state.thrown
            if not weak:
                self._life.ends.add(state.phase)
            elif state.phase is self._machine.first:
                self._life.is_left_by_exception = True
            if state.phase in self._machine.owing and isinstance(state.event, cst.Call):
                unjoined = self._record.unjoined
                unjoined[state.event] = unjoined.get(state.event, True) and weak

    def _goes_on_elsewhere(self, scope: Scope) -> bool:
        """True if a caller of this scope has the thing too, so that its end is not the end."""
        if not isinstance(scope.node, cst.FunctionDef):
            return False
        callers = bool(self._program.references.calls(scope.node))
        callers = callers or self._program.evaluator.classes.is_property(scope.node)
        if scope is self._home:
            return self._events.is_returned and callers
        if callers or scope in self._events.entered:
            return True
        return scope in self._given_to

    @cached_property
    def _given_to(self) -> set[Scope]:
        """Where it is a parameter, and nobody in this module shows what comes after."""
        given: set[Scope] = set()
        for use in self._life.uses:
            if isinstance(use.at, cst.Name):
                owner = self._tree.scope_of(use.at).owner_of(use.at.value)
                if owner is self._tree.function_of(use.at):
                    if self._is_parameter((owner, use.at.value)):
                        given.add(owner)
        return given


def _place_of(event: Event) -> object:
    """What events that exclude each other have in common."""
    return event.node if event.effect is Effect.CALL else event


def _states(facts: Iterable[object]) -> frozenset[State]:
    return frozenset(facts)  # type: ignore[arg-type]


def _catches_errors(node: cst.Try | cst.TryStar) -> bool:
    """Is there an ``except Exception``?"""
    return any(isinstance(h.type, cst.Name) and h.type.value == "Exception" for h in node.handlers)
