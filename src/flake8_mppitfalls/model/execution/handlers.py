"""Handlers: functions that a framework calls for each request, message or event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_DECORATORS = frozenset(
    "after_request before_request delete errorhandler event get head listen listener "
    "message_handler middleware on on_message options patch post put route subscribe "
    "teardown_request websocket".split()
)
"""``@app.route("/")`` and the like."""
_METHODS = frozenset(
    "data_received datagram_received delete dispatch do_DELETE do_GET do_HEAD do_PATCH do_POST "
    "do_PUT get handle handle_one_request head on_message options patch post put".split()
)
_BASES = ("Handler", "Resource", "APIView", "View", "MethodView", "Protocol", "Consumer")
_KEYWORDS = frozenset({"callback", "command", "on_click", "on_message", "on_press", "handler"})
_REGISTERING = frozenset(
    "add_event_handler add_handler add_url_rule basic_consume bind connect create_server "
    "signal.signal start_server subscribe".split()
)


def is_handler(program: Program, function: cst.CSTNode) -> bool:
    """True for a function that is run again and again by what this file registers it with."""
    if not isinstance(function, cst.FunctionDef):
        return False
    for decorator in function.decorators:
        made = decorator.decorator
        if isinstance(made, cst.Call) and isinstance(made.func, cst.Attribute):
            if made.func.attr.value in _DECORATORS:
                return True
    if function.name.value in _METHODS:
        cls = program.evaluator.classes.of_method(function)
        bases = program.evaluator.classes.external_bases(cls) if cls is not None else ()
        if any(name.endswith(_BASES) for name in bases):
            return True
    return any(_is_registered(program, use.node) for use in program.references.of(function))


def _is_registered(program: Program, node: cst.CSTNode) -> bool:
    arg = program.tree.parent(node)
    call = program.tree.parent(arg) if isinstance(arg, cst.Arg) else None
    if not isinstance(arg, cst.Arg) or not isinstance(call, cst.Call):
        return False
    if arg.keyword is not None:
        return arg.keyword.value in _KEYWORDS
    name = program.tree.qualified(call.func)
    last = call.func.attr.value if isinstance(call.func, cst.Attribute) else name
    return name in _REGISTERING or last in _REGISTERING
