"""Arguments and parameters: which expression of a call reaches which parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Sequence


def argument(
    call: cst.Call, parameters: Sequence[str], name: str, *, skip: int = 0
) -> cst.BaseExpression | None:
    """The expression that ``call`` gives for the parameter ``name``, or ``None``.

    ``parameters`` are the names of the positional parameters in order; ``skip`` of them are
    already bound. Behind a ``*args`` positions are unknown.
    """
    position = skip
    for arg in call.args:
        if arg.keyword is not None:
            if arg.keyword.value == name:
                return arg.value
        elif arg.star == "*":
            position = len(parameters)
        elif arg.star == "":
            if position < len(parameters) and parameters[position] == name:
                return arg.value
            position += 1
    return None


def has_stars(call: cst.Call) -> bool:
    """True if ``*args`` or ``**kwargs`` may hold any argument."""
    return any(arg.star for arg in call.args)


def has_double_star(call: cst.Call) -> bool:
    """True if ``**kwargs`` may hold any keyword."""
    return any(arg.star == "**" for arg in call.args)


def positional_names(parameters: cst.Parameters) -> list[str]:
    """The names of the parameters that can be given by position."""
    return [p.name.value for p in (*parameters.posonly_params, *parameters.params)]
