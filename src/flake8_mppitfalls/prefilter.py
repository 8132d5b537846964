"""Does this file use processes at all?

Nearly every file of a repository ends here, so the questions come in the order of their cost: a
few words in the text, the import statements of flake8's own tree, and only then what is done with
the imported modules. A wrong yes costs some milliseconds, a wrong no costs a finding: in doubt
the answer is yes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

#: A file without any of these words imports no process module.
_WORDS = ("multiprocess", "concurrent", "billiard")

_FUTURES = "concurrent.futures"

#: ``multiprocessing`` and its drop-in forks: one and the same API.
_MULTIPROCESSING = ("multiprocessing", "torch.multiprocessing", "billiard", "multiprocess")

#: What ``multiprocessing`` offers that starts, shares and ends nothing.
_HARMLESS_MULTIPROCESSING = frozenset(
    {
        "AuthenticationError",
        "BufferTooShort",
        "ProcessError",
        "TimeoutError",
        "cpu_count",
        "current_process",
        "get_logger",
        "log_to_stderr",
        "parent_process",
        "reduction",
        "util",
    }
)

#: What ``concurrent.futures`` offers for threads, and for both sides alike.
_HARMLESS_FUTURES = frozenset(
    {
        "ALL_COMPLETED",
        "BrokenExecutor",
        "CancelledError",
        "Executor",
        "FIRST_COMPLETED",
        "FIRST_EXCEPTION",
        "Future",
        "InvalidStateError",
        "ThreadPoolExecutor",
        "TimeoutError",
        "_base",
        "as_completed",
        "thread",
        "wait",
    }
)

#: The parts of a statement that hold further statements.
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


def uses_processes(text: str, tree: ast.AST) -> bool:
    """Whether the file with this *text* and *tree* uses processes."""
    if not any(word in text for word in _WORDS):
        return False
    modules: dict[str, str] = {}
    for statement in _imports(tree):
        for name, path in _imported(statement):
            if name is None or path not in _PACKAGES:
                if _is_process_side(path):
                    return True
            else:
                modules[name] = path
    return bool(modules) and _uses_process_side(tree, modules)


#: Modules that have a process side and a harmless one: what is done with them decides.
_PACKAGES = frozenset(
    {"concurrent", _FUTURES, "torch", *_MULTIPROCESSING, *(f"{m}.dummy" for m in _MULTIPROCESSING)}
)


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement, wherever it stands. Expressions are not looked at."""
    blocks = [tree]
    while blocks:
        block = blocks.pop()
        for name in _BLOCKS:
            for statement in getattr(block, name, ()):
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    yield statement
                else:
                    blocks.append(statement)


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str | None, str]]:
    """The names that *statement* binds, each with the dotted path of what it is bound to.

    No name: the path is imported, but what is bound is something else.
    """
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            if statement.level == 0:
                yield alias.asname or alias.name, f"{statement.module}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            root = alias.name.partition(".")[0]
            yield root, root


def _is_process_side(path: str) -> bool:
    """Whether the thing at this dotted path has to do with processes."""
    for module in _MULTIPROCESSING:
        if path == module:
            return True
        if path.startswith(f"{module}."):
            names = path[len(module) + 1 :].split(".")
            if names[0] == "dummy":
                # Threads behind the same names; of these, only pools have traps.
                return names[1:2] in ([], ["Pool"], ["*"])
            return _HARMLESS_MULTIPROCESSING.isdisjoint(names)
    if path.startswith(f"{_FUTURES}."):
        return path.split(".")[2] not in _HARMLESS_FUTURES
    return path == _FUTURES


def _uses_process_side(tree: ast.AST, modules: Mapping[str, str]) -> bool:
    """Whether one of the *modules*, name to path, is used for more than its harmless side."""
    in_text = re.compile(rf"\b(?:{'|'.join(map(re.escape, modules))})(?:\.\w+)+")
    inner: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            # Outer nodes come first: of a.b.c only the whole is looked at.
            if node in inner:
                continue
            names = [node.attr]
            value = node.value
            inner.add(value)
            while isinstance(value, ast.Attribute):
                names.append(value.attr)
                value = value.value
                inner.add(value)
            if isinstance(value, ast.Name) and value.id in modules:
                path = ".".join((modules[value.id], *reversed(names)))
                if _is_process_side(path):
                    return True
        elif isinstance(node, ast.Name):
            if node.id in modules and node not in inner and _is_process_side(modules[node.id]):
                return True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # An annotation may stand in quotes.
            for match in in_text.finditer(node.value):
                name, _, rest = match[0].partition(".")
                path = f"{modules[name]}.{rest}"
                if path not in _PACKAGES and _is_process_side(path):
                    return True
    return False
