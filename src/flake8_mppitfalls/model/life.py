"""One pool, what is done with it, and what the data flow found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.uses import UseKind
from flake8_mppitfalls.model.values import Made

if TYPE_CHECKING:
    from flake8_mppitfalls.model.uses import Use


@dataclass(eq=False)
class Life:
    """One pool of the file: how it is used, and the answers about its states.

    Attributes:
        made: the pool.
        uses: everything that is done with it.
        is_one_of_many: it was kept in a container; the order of events is then not followed.
        unjoined: the ``close()`` and ``terminate()`` calls after which a path ends without join.
        early_joins: the ``join()`` calls that a running pool reaches.
        entered: the ``with`` items (or ``enter_context`` calls) that enter it.
    """

    made: Made
    uses: list[Use]
    is_one_of_many: bool = False
    unjoined: list[cst.Call] = field(default_factory=list)
    early_joins: list[cst.Call] = field(default_factory=list)
    entered: list[cst.CSTNode] = field(default_factory=list)

    def calls(self, *effects: str) -> list[cst.Call]:
        """The method calls on it that have one of these effects (``close``, ``join``)."""
        methods = api.METHODS[self.made.kind]
        return [
            use.node
            for use in self.uses
            if use.kind is UseKind.METHOD
            and use.depth == 0
            and isinstance(use.node, cst.Call)
            and use.name in methods
            and methods[use.name].effect in effects
        ]
