"""State machines: how the life of a pool, an executor or a process goes, as data.

A :class:`Machine` says in which phase a thing is when it is made, what each event does to it, and
which event is a fault in which phase. The data flow that runs them is in ``typestate.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flake8_mppitfalls.model.api import Kind


class Phase(enum.Enum):
    """Where in its life a thing is."""

    ABSENT = "not made yet"
    MADE = "made, and not started"
    RUNNING = "running"
    CLOSED = "closed"
    TERMINATED = "terminated"
    JOINED = "joined"
    LEFT = "left by with"
    UNKNOWN = "unknown"


class Effect(enum.Enum):
    """What an event does to a thing."""

    MAKE = "make"
    START = "start"
    USE = "give it a task"
    CLOSE = "close"
    TERMINATE = "terminate"
    JOIN = "join"
    LEAVE = "leave its with block"
    HAND_ON = "hand on"
    CALL = "call a function in which something happens"
    HOLD = "put into a container"
    CLEAR = "make a container, or empty one"


class Fault(enum.Enum):
    """An event that goes wrong in the phase in which it comes."""

    JOINED_WHILE_OPEN = "a pool that still takes tasks is joined"
    USED_AFTER_END = "a task for a pool or executor that was ended"
    STARTED_TWICE = "a process is started a second time"
    JOINED_UNSTARTED = "a process is joined that was not started"


Moves: TypeAlias = "Mapping[tuple[Phase, Effect], Phase]"
Faults: TypeAlias = "Mapping[tuple[Phase, Effect], Fault]"


@dataclass(frozen=True)
class Machine:
    """The life of one kind of thing.

    Attributes:
        first: the phase in which it is made.
        effects: what its methods do, by the ``effect`` that the API table gives them.
        moves: the phase after an event; where there is none, the phase stays.
        faults: the events that raise an error; nothing runs on after them.
        settling: an exception that skips one of these leaves ``first`` uncertain.
        owing: the phases in which a thing still has to be joined.
        takes_tasks: task methods are events.
    """

    first: Phase
    effects: Mapping[str, Effect]
    moves: Moves
    faults: Faults
    settling: frozenset[Effect]
    owing: frozenset[Phase] = frozenset()
    takes_tasks: bool = True


def _to(target: Phase, effect: Effect, *sources: Phase) -> dict[tuple[Phase, Effect], Phase]:
    return {(source, effect): target for source in sources}


_ENDED = (Phase.CLOSED, Phase.TERMINATED, Phase.JOINED, Phase.LEFT)
_ALIVE = (Phase.RUNNING, Phase.UNKNOWN)

_POOL = Machine(
    first=Phase.RUNNING,
    effects={"close": Effect.CLOSE, "terminate": Effect.TERMINATE, "join": Effect.JOIN},
    moves={
        **_to(Phase.CLOSED, Effect.CLOSE, *_ALIVE),
        **_to(Phase.TERMINATED, Effect.TERMINATE, *_ALIVE, Phase.CLOSED),
        **_to(Phase.JOINED, Effect.JOIN, *_ENDED, Phase.UNKNOWN),
        **_to(Phase.LEFT, Effect.LEAVE, *_ALIVE, *_ENDED),
    },
    faults={
        (Phase.RUNNING, Effect.JOIN): Fault.JOINED_WHILE_OPEN,
        **{(phase, Effect.USE): Fault.USED_AFTER_END for phase in _ENDED},
    },
    settling=frozenset({Effect.CLOSE, Effect.TERMINATE}),
    owing=frozenset({Phase.CLOSED, Phase.TERMINATED}),
)

_EXECUTOR = Machine(
    first=Phase.RUNNING,
    effects={"shutdown": Effect.CLOSE},
    moves={
        **_to(Phase.CLOSED, Effect.CLOSE, *_ALIVE),
        **_to(Phase.LEFT, Effect.LEAVE, *_ALIVE, *_ENDED),
    },
    faults={(phase, Effect.USE): Fault.USED_AFTER_END for phase in _ENDED},
    settling=frozenset({Effect.CLOSE}),
)

_STARTED = (Phase.RUNNING, Phase.TERMINATED, Phase.JOINED)

_PROCESS = Machine(
    first=Phase.MADE,
    effects={"start": Effect.START, "terminate": Effect.TERMINATE, "join": Effect.JOIN},
    moves={
        **_to(Phase.RUNNING, Effect.START, Phase.MADE, Phase.UNKNOWN),
        **_to(Phase.TERMINATED, Effect.TERMINATE, *_ALIVE),
        **_to(Phase.JOINED, Effect.JOIN, *_STARTED, Phase.UNKNOWN),
    },
    faults={
        (Phase.MADE, Effect.JOIN): Fault.JOINED_UNSTARTED,
        **{(phase, Effect.START): Fault.STARTED_TWICE for phase in _STARTED},
    },
    settling=frozenset({Effect.START}),
    owing=frozenset({Phase.RUNNING, Phase.TERMINATED}),
    takes_tasks=False,
)

MACHINES: Mapping[Kind, Machine] = {
    Kind.POOL: _POOL,
    Kind.THREAD_POOL: _POOL,
    Kind.EXECUTOR: _EXECUTOR,
    Kind.PROCESS: _PROCESS,
}
"""The machines, by what they are about."""
