"""Transitions: what one event does to one state of a thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.lives.machine import MACHINES, Effect, Fault, Phase
from flake8_mppitfalls.model.lives.naming import How

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flake8_mppitfalls.model.lives.events import Event, Events
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.lives.naming import Way
    from flake8_mppitfalls.model.lives.state import State
    from flake8_mppitfalls.model.lives.verdict import Record
    from flake8_mppitfalls.model.program import Program

_ERRORS = {
    Fault.JOINED_WHILE_OPEN: ("ValueError",),
    Fault.USED_AFTER_END: ("ValueError", "RuntimeError"),
    Fault.STARTED_TWICE: ("AssertionError",),
    Fault.JOINED_UNSTARTED: ("AssertionError",),
}
"""What a fault raises."""


class Transitions:
    """Runs the state machine of one thing, and notes in a record what it meets."""

    def __init__(self, program: Program, life: Life, events: Events, record: Record) -> None:
        self._program = program
        self._life = life
        self._machine = MACHINES[life.made.kind]
        self._events = events
        self._record = record

    def after(self, event: Event, state: State) -> Iterable[State]:
        """The states that may follow; a call is followed elsewhere."""
        effect = event.effect
        if effect is Effect.MAKE:
            if state.phase is not Phase.ABSENT:
                return (state,)  # this is another one
            return (state, state._replace(phase=self._machine.first, fresh=event.node))
        if state.phase is Phase.ABSENT:
            return (state,)
        if effect is Effect.CLEAR:
            assert event.container is not None
            return (state._replace(containers=state.containers - {event.container}),)
        applies = self.applies(event.way, state)
        if effect is Effect.HOLD:
            assert event.container is not None
            if applies is False:
                return (state,)
            return (state._replace(containers=state.containers | {event.container}),)
        if applies is False:
            self._missed(event, state)
            return (state,)
        if effect is Effect.HAND_ON:
            return (state._replace(phase=Phase.UNKNOWN, event=None),)
        return self._moved(event, state, loosely=applies is None)

    def applies(self, way: Way, state: State) -> bool | None:
        """Does a way lead to the thing in a state? ``None``: nobody knows."""
        if way.how is How.EACH:
            return not way.containers or bool(way.containers & state.containers)
        if way.how is How.KEY:
            return None if way.key in self._events.naming.loose else way.key in state.names
        if way.how is How.FRESH:
            if state.fresh is way.call:
                return True
            return False if self._events.is_entered(way.call) else None
        return None if way.how is How.LOOSE else False

    def _missed(self, event: Event, state: State) -> None:
        if event.effect is Effect.JOIN and not state.thrown:
            self._life.missed.setdefault(event.node, set()).add(state.phase)

    def _moved(self, event: Event, state: State, *, loosely: bool) -> Iterable[State]:
        """What an event of the state machine does."""
        effect, phase = event.effect, state.phase
        if not loosely:
            self._record.reached.setdefault(event.node, set()).add(phase)
        fault = self._machine.faults.get((phase, effect))
        if fault is not None:
            if loosely:
                return (state._replace(phase=Phase.UNKNOWN, event=None),)
            if not state.thrown and isinstance(event.node, cst.Call):
                self._record.troubles.setdefault((fault, event.node), set()).add(state.event)
            if any(self._program.conditions.expects(event.node, e) for e in _ERRORS[fault]):
                return (state,)  # a test: ``with assertRaises(ValueError): pool.map(…)``
            return ()  # it raises: nothing runs on
        target = self._machine.moves.get((phase, effect))
        if effect is Effect.JOIN or effect is Effect.LEAVE:
            if phase in self._machine.owing and state.event is not None:
                self._record.joined.add(state.event)
        elif phase is Phase.JOINED and effect in self._machine.settling:
            self._record.joined.add(event.node)
        elif target is Phase.TERMINATED and phase is Phase.CLOSED and state.event is not None:
            self._record.joined.add(state.event)  # terminate() takes the obligation over
        if target is None:
            return (state,)
        if phase is Phase.UNKNOWN and effect in self._machine.settling:
            if self._events.escaping or self._life.is_handed_on:
                return (state,)
        source = state.event if target is Phase.JOINED else event.node
        return (state._replace(phase=target, event=source, thrown=False),)
