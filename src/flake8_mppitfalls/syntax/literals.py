"""What numbers and strings in the source stand for."""

from __future__ import annotations

import ast
import functools

import libcst as cst

#: Longer ones are seldom met again.
_LONG = 80


def literal(node: cst.CSTNode) -> object:
    """The value of a number or string; ``None`` for strings that are joined with an f-string.

    The same that LibCST's ``evaluated_value`` gives. That compiles the text each time, which takes
    longer than most rules do, and a file has few different literals.
    """
    if isinstance(node, (cst.Integer, cst.Float, cst.SimpleString)) and len(node.value) < _LONG:
        return _value(node.value)
    value: object = getattr(node, "evaluated_value")  # noqa: B009
    return value


@functools.lru_cache(maxsize=4096)
def _value(text: str) -> object:
    return ast.literal_eval(text)
