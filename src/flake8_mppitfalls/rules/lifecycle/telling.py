"""Words that the rules of this family share: what a thing is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import UseKind

if TYPE_CHECKING:
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.program import Program


def name_of(program: Program, life: Life, otherwise: str) -> str:
    """The name by which a thing is used first; ``otherwise`` where it has none."""
    named = [
        use.at
        for use in life.uses
        if use.kind is UseKind.METHOD and isinstance(use.at, (cst.Name, cst.Attribute))
    ]
    first = named[0] if named else None
    for node in named[1:]:
        if first is not None and program.tree.before(node, first):
            first = node
    return program.source(first, otherwise) if first is not None else otherwise
