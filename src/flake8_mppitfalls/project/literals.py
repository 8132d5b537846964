"""What the build files of a project say in Python: strings, paths and lists, read and not run."""

from __future__ import annotations

import ast
import itertools
import posixpath
from collections.abc import Iterator
from typing import TypeGuard

#: A part of a string that the file does not show.
UNKNOWN = "\0"

_MAX_DEPTH = 20
_JOINING = frozenset({"join", "joinpath", "Path", "PurePath", "PosixPath", "WindowsPath"})
_KEEPING = frozenset(
    {"abspath", "absolute", "as_posix", "fspath", "normpath", "realpath", "resolve", "str"}
)
#: Where a build file is, and where it is run from, is for those to say who resolve the path.
_HERE = {"SPECPATH": ".", "__file__": "./__file__"}

_MAX_LENGTH = 4000
_MAX_STRINGS = 500
_MAX_LIST_DEPTH = 12


class Names:
    """The names that a module binds once, at its top level."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values
        #: Those already evaluated; a name that is being evaluated is not shown by itself.
        self.strings: dict[str, str | None] = {}


def constants(tree: ast.Module) -> Names:
    """What the names of a build file stand for."""
    found: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            if isinstance(statement.target, ast.Name):
                found.setdefault(statement.target.id, []).append(statement.value)
    return Names({name: values[0] for name, values in found.items() if len(values) == 1})


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c` and of `c`; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted_name(node: ast.expr) -> str:
    """`a.b.c` of that very expression; "" of what is more than names and dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join((node.id, *reversed(parts)))


def string(node: ast.expr, names: Names, depth: int = 0) -> str | None:
    """The string or path that an expression stands for, as far as the file shows it.

    Paths are put together with `/`; the folder of the file is `.`; `UNKNOWN` stands for the parts
    of an f-string that are not shown. None: no string, or not shown.
    """
    if depth > _MAX_DEPTH:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        if node.id in _HERE:
            return _HERE[node.id]
        if node.id in names.values and node.id not in names.strings:
            names.strings[node.id] = None
            names.strings[node.id] = string(names.values[node.id], names, depth + 1)
        return names.strings.get(node.id)
    if isinstance(node, ast.JoinedStr):
        parts = [
            string(part.value if isinstance(part, ast.FormattedValue) else part, names, depth + 1)
            for part in node.values
        ]
        return _short("".join(UNKNOWN if part is None else part for part in parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
        left = string(node.left, names, depth + 1)
        right = string(node.right, names, depth + 1)
        if left is None or right is None:
            return None
        joined = left + right if isinstance(node.op, ast.Add) else posixpath.join(left, right)
        return _short(joined)
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _parent(string(node.value, names, depth + 1))
    return _called(node, names, depth) if isinstance(node, ast.Call) else None


def _short(text: str) -> str | None:
    return text if len(text) <= _MAX_LENGTH else None


def _called(node: ast.Call, names: Names, depth: int) -> str | None:
    name = last_name(node.func)
    if name in ("getcwd", "cwd"):
        return "."
    nodes = list(node.args)
    if isinstance(node.func, ast.Attribute) and dotted_name(node.func.value) != "os.path":
        if name in ("joinpath", "resolve", "absolute", "as_posix"):
            nodes.insert(0, node.func.value)
    values = [string(argument, names, depth + 1) for argument in nodes]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if name in _JOINING:
        return _short(posixpath.join(*known)) if known else "."
    if name == "dirname" and known:
        return _parent(known[0])
    return known[0] if name in _KEEPING and known else None


def _parent(path: str | None) -> str | None:
    if path is None:
        return None
    path = posixpath.normpath(path)
    if path == "." or path == ".." or path.endswith("/.."):
        return posixpath.join(path, "..")
    return posixpath.dirname(path) or "."


def strings(node: ast.expr, names: Names) -> Iterator[str | None]:
    """The elements of a list as strings, None for each that is not shown; of a string, itself.

    Lists that are put together with `+`, starred ones and names bound to lists are followed; of a
    dictionary, and of a call with keywords, the value of `script` is what counts.
    """
    return itertools.islice(_strings(node, names, 0), _MAX_STRINGS)


def _strings(node: ast.expr, names: Names, depth: int) -> Iterator[str | None]:
    text = string(node, names)
    if text is not None or depth > _MAX_LIST_DEPTH:
        yield text
        return
    parts: list[ast.expr] = []
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        parts = node.elts
    elif is_sum(node):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Starred):
        parts = [node.value]
    elif isinstance(node, ast.Name) and node.id in names.values:
        parts = [names.values[node.id]]
    elif isinstance(node, ast.Dict):
        parts = [value for key, value in items(node) if key == "script"]
    elif isinstance(node, ast.Call):
        parts = [word.value for word in node.keywords if word.arg == "script"]
    if not parts:
        yield None
    for part in parts:
        yield from _strings(part, names, depth + 1)


def is_sum(node: ast.AST) -> TypeGuard[ast.BinOp]:
    """Whether it is `a + b`."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """The entries of a dictionary display that have a literal string as their key."""
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value
