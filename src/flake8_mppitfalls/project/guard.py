"""The `__main__` guard in an `ast` tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def has_guard(tree: ast.Module) -> bool:
    """Whether a module has an `if __name__ == "__main__"` (or `match __name__`) in no function."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and is_guard(node.test):
            return True
        if isinstance(node, ast.Match) and _is_module_name(node.subject):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            todo.extend(inner_statements(node))
    return False


def is_guard(test: ast.expr) -> bool:
    """Whether a test is true only in the main program."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(isinstance(value, ast.Compare) and is_guard(value) for value in test.values)
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.Eq, ast.In)):
        return False
    sides = (test.left, test.comparators[0])
    shown = [node for side in sides for node in (side, *getattr(side, "elts", ()))]
    names = [node.value for node in shown if isinstance(node, ast.Constant)]
    if "__main__" not in names or "__mp_main__" in names:  # a child passes the latter
        return False
    return any(map(_is_module_name, sides))


def _is_module_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "__name__"


def inner_statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements (handlers, cases) directly inside a statement."""
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        blocks = getattr(node, name, ())
        if isinstance(blocks, list):  # the body of a lambda or of `a if b else c` is none
            yield from blocks
