"""One pool, executor or process, what is done with it, and what the data flow found."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Made

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.lives.machine import Fault, Phase
    from flake8_mppitfalls.syntax.scopes import Binding


class Trouble(NamedTuple):
    """An event that goes wrong: ``earlier`` is the event that brought the thing there."""

    fault: Fault
    node: cst.Call
    earlier: cst.CSTNode | None


@dataclass(eq=False)
class Life:
    """One pool, executor or process of the file: how it is used, and how it fares.

    Attributes:
        made: what it is.
        uses: everything that is done with it.
        parameter: what brings it, where the annotation of a parameter alone says what it is.
        is_one_of_many: it was kept in a container.
        unjoined: the ``close()`` and ``terminate()`` calls after which a path ends without join.
        early_joins: the ``join()`` calls that a running pool reaches.
        troubles: the other events that go wrong.
        missed: the ``join()`` calls that are for another one of those that its call makes.
        ends: the phases in which it may be when nobody can do anything with it any more.
        is_left_by_exception: an exception may leave it as it was made (asked for strictly).
        is_handed_on: it goes where the file does not show what happens to it.
        entered: the ``with`` items (or ``enter_context`` calls) that enter it.
    """

    made: Made
    uses: list[Use]
    parameter: Binding | None = None
    is_one_of_many: bool = False
    unjoined: list[cst.Call] = field(default_factory=list)
    early_joins: list[cst.Call] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    missed: dict[cst.CSTNode, set[Phase]] = field(default_factory=dict)
    ends: set[Phase] = field(default_factory=set)
    is_left_by_exception: bool = False
    is_handed_on: bool = False
    entered: list[cst.CSTNode] = field(default_factory=list)

    def calls(self, *effects: str) -> list[cst.Call]:
        """The method calls on it that have one of these effects (``close``, ``join``)."""
        return [call for effect in effects for call in self._calls_by_effect.get(effect, ())]

    @cached_property
    def _calls_by_effect(self) -> dict[str, list[cst.Call]]:
        methods = api.METHODS[self.made.kind]
        found: dict[str, list[cst.Call]] = {}
        for use in self.uses:
            if use.kind is UseKind.METHOD and use.depth == 0 and isinstance(use.node, cst.Call):
                method = methods.get(use.name)
                if method is not None:
                    found.setdefault(method.effect, []).append(use.node)
        return found
