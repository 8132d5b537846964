"""Does the code itself ask whether it is frozen into an executable?"""

from __future__ import annotations

import ast

from flake8_mppitfalls.project.literals import last_name

_OF_SYS = frozenset({"frozen", "_MEIPASS"})


def frozen_in_file(tree: ast.Module) -> bool:
    """Whether the code asks if it is frozen: by `sys.frozen`, `sys._MEIPASS` or `__compiled__`."""
    nodes = list(ast.walk(tree))
    bound: dict[str, str] = {"sys": "sys"}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module == "sys" and any(alias.name in _OF_SYS for alias in node.names):
                return True
    sys_names = {name for name, module in bound.items() if module == "sys"}
    return any(_asks_if_frozen(node, sys_names) for node in nodes)


def _asks_if_frozen(node: ast.AST, sys_names: set[str]) -> bool:
    def is_sys(value: ast.expr) -> bool:
        if isinstance(value, ast.Call) and last_name(value.func) in ("vars", "dir") and value.args:
            value = value.args[0]
        elif isinstance(value, ast.Attribute) and value.attr == "__dict__":
            value = value.value
        return isinstance(value, ast.Name) and value.id in sys_names

    if isinstance(node, ast.Attribute):
        return node.attr in _OF_SYS and isinstance(node.ctx, ast.Load) and is_sys(node.value)
    if isinstance(node, ast.Name):
        return node.id == "__compiled__" and isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Compare):  # "frozen" in vars(sys), "__compiled__" in globals()
        if not isinstance(node.ops[0], (ast.In, ast.NotIn)):
            return False
        return _names(node.left, is_sys(node.comparators[0]))
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        if name in ("getattr", "hasattr") and len(node.args) > 1:
            return _names(node.args[1], is_sys(node.args[0]))
        if name == "get" and isinstance(node.func, ast.Attribute) and node.args:
            return _names(node.args[0], is_sys(node.func.value))
    return False


def _names(node: ast.expr, of_sys: bool) -> bool:
    if not isinstance(node, ast.Constant):
        return False
    return node.value == "__compiled__" or (of_sys and node.value in _OF_SYS)
