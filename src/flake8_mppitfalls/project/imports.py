"""Does a first-party module that a script imports start processes?

Modules are found on disk where the script would find them, read as text, and parsed only if
needed; nothing is imported. What a module says is kept for each path; texts and trees are not.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from flake8_mppitfalls.project.guard import inner_statements, is_guard
from flake8_mppitfalls.project.literals import dotted_name, last_name
from flake8_mppitfalls.project.reading import absolute, parse_python, read_text, word_set
from flake8_mppitfalls.project.root import root_above

MAX_DEPTH = 8
MAX_MODULES = 200
#: A module larger than this tells us nothing.
MAX_BYTES = 512 * 1024

_PROCESS_MODULES = (
    "multiprocessing",
    "concurrent.futures",
    "torch.multiprocessing",
    "billiard",
    "multiprocess",
)
_MODULE_WORDS = re.compile(r"\b(?:multiprocessing|multiprocess|billiard|concurrent)\b")
_START_WORDS = re.compile(r"Pool|Process|Manager|spawn|start_processes")
_STARTS = word_set(
    "Pool Process ProcessPoolExecutor Manager SyncManager SharedMemoryManager SpawnProcess"
    " ForkServerProcess"
)
_STARTS_OF_TORCH = frozenset({"spawn", "start_processes"})
_PROCESSES = frozenset({"Process", "SpawnProcess", "ForkServerProcess", "BaseProcess"})
_CONTEXTS = frozenset({"get_context", "SpawnContext", "ForkServerContext", "DefaultContext"})
#: What lies side by side in such a folder is no project.
_INSTALLED = ("site-packages", "dist-packages")
_PLATFORM = frozenset({"platform", "name", "system"})


class Import(NamedTuple):
    """An import statement: `from ..a.b import c, d` is `(2, "a.b", ("c", "d"))`."""

    level: int
    module: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What a module says that matters here."""

    imports: tuple[Import, ...] = ()
    starts: bool = False
    """It makes a process, pool, process executor or manager."""
    processes: frozenset[str] = frozenset()
    """Its classes that derive from `Process`."""
    supports: bool = False
    """It calls `freeze_support()`."""


def first_party_starts_processes(filename: str, tree: ast.Module) -> bool:
    """Whether a module of the project that this file imports, at any depth, starts processes.

    Looked for beside the script, above its package, in the project's root and in its `src`.
    Imports for type checkers only, and what an imported module does under its own `__main__`
    guard, don't count.
    """
    processes: set[str] = set()
    files: list[str] = []
    for file, facts in _modules(filename, tree):
        if facts.starts:
            return True
        processes |= facts.processes
        files.append(file)
    return bool(processes) and _makes_one(processes, tree, files)


def first_party_calls_freeze_support(filename: str, tree: ast.Module) -> bool:
    """Whether such a module calls `freeze_support()`: then the script may get it from there."""
    return any(facts.supports for _, facts in _modules(filename, tree))


def _modules(filename: str, tree: ast.Module) -> Iterator[tuple[str, Facts]]:
    """The modules of the project that a file imports, the nearest ones first."""
    path = absolute(filename)
    if path is None:
        return
    bases = _bases(path)
    seen = {path}
    level = [(path, each) for each in _imports(tree, is_main=True)]
    for _ in range(MAX_DEPTH):
        files = dict.fromkeys(
            file
            for importer, each in level
            for file in _find(importer if each.level else "", each, bases)
        )
        new = [file for file in files if file not in seen][: MAX_MODULES + 1 - len(seen)]
        seen.update(new)
        level = []
        for file in new:
            facts = _facts(file)
            yield file, facts
            level.extend((file, each) for each in facts.imports)
        if not level:
            break


def _bases(path: str) -> tuple[str, ...]:
    """The folders in which the script finds the modules of its project, in their order."""
    own = package = os.path.dirname(path)
    for _ in range(32):
        if not os.path.exists(os.path.join(package, "__init__.py")):
            break
        package = os.path.dirname(package)
    root = root_above(own)
    roots = () if root is None else (root, os.path.join(root, "src"))
    found = dict.fromkeys((own, package, *roots))
    return tuple(base for base in found if os.path.basename(base) not in _INSTALLED)


@functools.lru_cache(maxsize=4096)
def _find(importer: str, statement: Import, bases: tuple[str, ...]) -> tuple[str, ...]:
    """The first-party files that an import statement (a relative one: in `importer`) imports."""
    if statement.level:
        folder = importer
        for _ in range(min(statement.level, 32)):
            folder = os.path.dirname(folder)
        return tuple(_find_in(folder, statement))
    name = statement.module.partition(".")[0]
    if name in sys.stdlib_module_names:  # only what stands beside the script hides such a module
        bases = bases[:1]
    for regular in (True, False):  # a package with __init__.py wins over a bare folder anywhere
        for base in bases:
            first = os.path.join(base, name)
            if _module_file(first) if regular else os.path.isdir(first):
                return tuple(_find_in(base, statement))
    return ()


def _find_in(folder: str, statement: Import) -> Iterator[str]:
    path = folder
    packages = statement.module.split(".") if statement.module else []
    if statement.level and (file := _module_file(path)):
        yield file
    for part in packages:
        path = os.path.join(path, part)
        if file := _module_file(path):
            yield file
        elif not os.path.isdir(path):
            return
    for name in statement.names:
        if file := _module_file(os.path.join(path, name)):
            yield file


def _module_file(path: str) -> str | None:
    for file in (os.path.join(path, "__init__.py"), path + ".py"):
        if os.path.isfile(file):
            return file
    return None


@functools.lru_cache(maxsize=1024)
def _facts(path: str) -> Facts:
    text = read_text(path, MAX_BYTES)
    uses = _MODULE_WORDS.search(text) is not None and _START_WORDS.search(text) is not None
    tree = parse_python(text) if uses or "import" in text else None
    if tree is None:
        return Facts()
    imports = tuple(_imports(tree, is_main=False))
    facts = _Judge(tree).facts(imports) if uses else Facts(imports)
    supports = "freeze_support" in text and _calls_freeze_support(tree)
    return replace(facts, supports=True) if supports else facts


# --- reading a tree ------------------------------------------------------------------------------


def _live(node: ast.AST, children: Iterable[ast.AST], is_main: bool) -> Iterable[ast.AST]:
    """The parts of a node that run: not those for type checkers, nor those for the main program."""
    if isinstance(node, ast.If):
        test = node.test
        if last_name(test) == "TYPE_CHECKING" or (not is_main and is_guard(test)):
            return node.orelse
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            if last_name(test.operand) == "TYPE_CHECKING":
                return node.body
    return children


def _imports(tree: ast.Module, is_main: bool) -> Iterator[Import]:
    """Every import that may be done, wherever it stands; only statements are looked at."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(0, alias.name, ())
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names if alias.name != "*")
            yield Import(node.level, node.module or "", names)
        else:
            todo.extend(reversed([*_live(node, inner_statements(node), is_main)]))


class _Judge:
    """Reads the tree of a module whose text shows that it may start processes."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes: list[ast.AST] = []
        self._pinned = False
        todo: list[tuple[ast.AST, bool]] = [(tree, False)]
        while todo:
            node, by_platform = todo.pop()
            self._nodes.append(node)
            if isinstance(node, ast.If):
                by_platform = by_platform or _asks_platform(node.test)
            if isinstance(node, ast.Call) and last_name(node.func) == "set_start_method":
                self._pinned |= not by_platform and _says_fork(node)
            children = _live(node, ast.iter_child_nodes(node), is_main=False)
            todo.extend((child, by_platform) for child in children)
        self._bound: dict[str, set[str]] = {}
        self._contexts: set[str] = set()
        self._forks: set[str] = set()
        for node in self._nodes:
            self._bind(node)
        for node in self._nodes:
            self._find_context(node)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self._bound.setdefault(name, set()).add(alias.name if alias.asname else name)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                names = sorted(_STARTS) if alias.name == "*" else [alias.name]
                if alias.name == "*" and module not in _PROCESS_MODULES:
                    continue
                for name in names:
                    self._bound.setdefault(alias.asname or name, set()).add(f"{module}.{name}")

    def _find_context(self, node: ast.AST) -> None:
        """Names and attributes that are bound to a context of `multiprocessing`."""
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            value = node.value
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(value, ast.Call) and self._is_context(value.func):
                found = self._forks if _says_fork(value) else self._contexts
                found.update(dotted_name(target) for target in targets)

    def _is_context(self, function: ast.expr) -> bool:
        paths = self._paths(function)
        return bool(paths) and all(
            _within(path) and path.rpartition(".")[2] in _CONTEXTS for path in paths
        )

    def _paths(self, function: ast.expr) -> set[str]:
        """What a dotted name may stand for, with the names of its imports put in."""
        first, dot, rest = dotted_name(function).partition(".")
        return {path + dot + rest for path in self._bound.get(first, ())}

    def _starts(self, function: ast.expr, words: frozenset[str]) -> bool:
        """Whether this is one of the `words` of a process module, or of a context but fork's."""
        if isinstance(function, ast.Attribute):
            value = function.value
            if isinstance(value, ast.Call):  # get_context("spawn").Pool
                is_context = self._is_context(value.func) and not _says_fork(value)
                return is_context and function.attr in words
            base = dotted_name(value)
            if base in self._forks:
                return False
            if base in self._contexts:
                return function.attr in words
        paths = self._paths(function)
        return bool(paths) and all(_is_one_of(path, words) for path in paths)

    def facts(self, imports: tuple[Import, ...]) -> Facts:
        """What the module says, with its imports."""
        if self._pinned:
            return Facts(imports)
        calls = [node for node in self._nodes if isinstance(node, ast.Call)]
        if any(self._starts(call.func, _STARTS) and not self._is_forked(call) for call in calls):
            return Facts(imports, starts=True)
        classes = [node for node in self._nodes if isinstance(node, ast.ClassDef)]
        processes = {
            each.name
            for each in classes
            if any(self._starts(base, _PROCESSES) for base in each.bases)
        }
        return Facts(imports, processes=frozenset(processes))

    def _is_forked(self, call: ast.Call) -> bool:
        """Whether an executor is told to fork."""
        for word in call.keywords:
            if word.arg == "mp_context":
                value = word.value
                is_forked = isinstance(value, ast.Call) and _says_fork(value)
                return is_forked or dotted_name(value) in self._forks
        return False


def _within(path: str) -> bool:
    return any(path.startswith(module + ".") for module in _PROCESS_MODULES)


def _is_one_of(path: str, words: frozenset[str]) -> bool:
    if not _within(path) or ".dummy." in path:
        return False
    name = path.rpartition(".")[2]
    return name in words or (
        words is _STARTS and path.startswith("torch.") and name in _STARTS_OF_TORCH
    )


def _says_fork(call: ast.Call) -> bool:
    values = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "method")]
    return any(isinstance(value, ast.Constant) and value.value == "fork" for value in values)


def _asks_platform(test: ast.expr) -> bool:
    return any(
        last_name(node) in _PLATFORM for node in ast.walk(test) if isinstance(node, ast.expr)
    )


def _makes_one(processes: set[str], tree: ast.Module, files: Iterable[str]) -> bool:
    """Whether one of these subclasses of `Process`, or of its subclasses, is instantiated."""
    trees = [tree]
    for file in files:
        text = read_text(file, MAX_BYTES)
        if any(name in text for name in processes) and (found := parse_python(text)) is not None:
            trees.append(found)
    nodes = [node for each in trees for node in _all_live(each, is_main=each is tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    known = set(processes)
    for _ in range(MAX_DEPTH):
        derived = {
            each.name for each in classes if any(last_name(base) in known for base in each.bases)
        }
        if derived <= known:
            break
        known |= derived
    return any(isinstance(node, ast.Call) and last_name(node.func) in known for node in nodes)


def _calls_freeze_support(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Call) and last_name(node.func) == "freeze_support"
        for node in _all_live(tree, is_main=False)
    )


def _all_live(tree: ast.Module, is_main: bool) -> Iterator[ast.AST]:
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(_live(node, ast.iter_child_nodes(node), is_main))
