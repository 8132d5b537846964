"""What one file of a project freezes: `.spec`, packaging and CI files, build scripts."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from flake8_mppitfalls.project.commands import (
    Named,
    arguments_to_pyinstaller,
    scripts_in_command,
    scripts_in_text,
    scripts_in_words,
)
from flake8_mppitfalls.project.literals import (
    Names,
    constants,
    dotted_name,
    is_sum,
    items,
    last_name,
    string,
    strings,
)
from flake8_mppitfalls.project.reading import parse_python, read_text, word_set
from flake8_mppitfalls.project.toml import parse_toml

_YAML = (".yml", ".yaml")
_SCRIPTS = (".py", ".pyw")


def frozen_by_file(path: str, text: str, root: str) -> set[str]:
    """The scripts, as absolute paths, that one file of the project freezes."""
    folder, name = os.path.split(path)
    if name.endswith(".spec"):
        return _frozen_by_spec(path, text, root)
    named: set[Named] = set()
    folders: set[str] = set()
    if name.endswith(".py"):
        tree = parse_python(text)
        named = set() if tree is None else _named_in_python(tree, text)
    elif name.endswith(".toml"):
        named = _named_in_toml(parse_toml(text))
    else:
        named, folders = scripts_in_text(text, name)
        if name.endswith(_YAML):
            named.update(_named_in_actions(text))
    found: set[str] = set()
    for each in named:
        bases = [os.path.join(base, each.folder) for base in (root, folder)]
        others = [] if each.folder else [os.path.join(base, to) for base in bases for to in folders]
        for script in _resolve(each.path, [*bases, *others]):
            if script.endswith(".spec"):
                found.update(_frozen_by_spec(script, read_text(script), root))
            else:
                found.add(script)
    return {script for script in found if script.startswith(os.path.join(root, ""))}


def _resolve(path: str, bases: Iterable[str]) -> set[str]:
    """The one file that a path means, seen from some folders; none where several fit.

    Where none exists (it may be about to be saved), what it would be from the first two folders.
    """
    path = path.replace("\\", "/")
    candidates = list(
        dict.fromkeys(os.path.normpath(os.path.join(base, path)) for base in bases if path)
    )
    scripts = [each for each in candidates if each.lower().endswith((*_SCRIPTS, ".spec"))]
    existing = [script for script in scripts if os.path.isfile(script)]
    if not scripts:  # Nuitka takes a package
        mains = [os.path.join(each, "__main__.py") for each in candidates]
        existing = [main for main in mains if os.path.isfile(main)]
    if existing:
        return set(existing) if len(existing) == 1 else set()
    return set(scripts[:2])


def _frozen_by_spec(path: str, text: str, root: str) -> set[str]:
    """The scripts of each `Analysis([…])` in a `.spec` file: paths are relative to its folder."""
    names: set[str] = set()
    tree = parse_python(text)
    if tree is None:
        for block in _ANALYSIS.findall(re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE)):
            names.update(map("".join, _STRING.findall(block)))
    else:
        names.update(_first_lists(tree, "Analysis", "scripts"))
    found: set[str] = set()
    for name in names:
        beside = _resolve(name, [os.path.dirname(path)])
        found |= beside
        if not any(map(os.path.isfile, beside)):  # it may be written for a run from the root
            found |= _resolve(name, [root])
    return found


_ANALYSIS = re.compile(r"\bAnalysis\(\s*(?:scripts\s*=\s*)?\[([^\]]{0,2000})\]")
_STRING = re.compile(r"\"([^\"\n]+\.pyw?)\"|'([^'\n]+\.pyw?)'")


def _first_lists(tree: ast.Module, function: str, keyword: str) -> Iterator[str]:
    """The scripts in the first argument (or that keyword) of all calls of a function."""
    names = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) == function:
            values = node.args[:1] + [word.value for word in node.keywords if word.arg == keyword]
            for value in values:
                yield from _scripts(value, names)


def _scripts(node: ast.expr, names: Names) -> Iterator[str]:
    for each in strings(node, names):
        if each is not None and each.lower().endswith(_SCRIPTS):
            yield each


#: Calls whose strings are for people to read.
_SAYS = word_set(
    "print echo secho info warning warn error debug exit SystemExit Exit fail add_argument option"
)
_LISTS_OF_SCRIPTS = {"py2exe": ("console", "windows"), "py2app": ("app",)}


def _named_in_python(tree: ast.Module, text: str) -> set[Named]:
    """What setup.py, a tasks file or a build script freezes."""
    names = constants(tree)
    found = {Named(path) for path in _first_lists(tree, "Executable", "script")}
    keywords = {word for tool, words in _LISTS_OF_SCRIPTS.items() if tool in text for word in words}
    runs = _names_of_run(tree)
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        children: Iterable[ast.AST] = ast.iter_child_nodes(node)
        lists: list[ast.expr] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Call):
            if last_name(node.func) in _SAYS:
                continue
            lists = [word.value for word in node.keywords if word.arg in keywords]
            if dotted_name(node.func) in runs and node.args:
                found |= arguments_to_pyinstaller(list(strings(node.args[0], names)))
            found |= scripts_in_words([string(each, names) for each in node.args])
        elif isinstance(node, ast.Dict):
            lists = [value for key, value in items(node) if key in keywords]
        elif isinstance(node, (ast.List, ast.Tuple)) or is_sum(node):
            found |= scripts_in_words(list(strings(node, names)))
        elif isinstance(node, (ast.Constant, ast.JoinedStr)):
            found |= scripts_in_command(string(node, names) or "")
            children = ()
        for value in lists:
            found.update(map(Named, _scripts(value, names)))
        todo.extend(children)
    return found


def _names_of_run(tree: ast.Module) -> set[str]:
    """What a build script calls the function that PyInstaller offers to it."""
    names = {_RUN}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                path = module + alias.name
                if path == _RUN or _RUN.startswith(path + "."):
                    names.add((alias.asname or alias.name) + _RUN[len(path) :])
    return names


_RUN = "PyInstaller.__main__.run"


def _named_in_toml(data: Any) -> set[Named]:
    """What pyproject.toml freezes: by a command of a task runner, or a freezer's own table."""
    found: set[Named] = set()
    todo: list[tuple[tuple[str, ...], Any]] = [((), data)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            if path[:3] == ("tool", "briefcase", "app") and len(path) == 4:
                found.update(map(Named, _briefcase_scripts(path[3], value.get("sources"))))
            todo.extend(((*path, str(key)), inner) for key, inner in value.items())
        elif path[:1] in _NO_COMMANDS:
            continue
        elif isinstance(value, list):
            words = [word if isinstance(word, str) else None for word in value]
            found |= scripts_in_words(words)
            todo.extend((path, inner) for inner in value)
        elif isinstance(value, str):
            found |= scripts_in_command(value)
            if value.lower().endswith((*_SCRIPTS, ".spec")) and _is_script_key(path):
                found.add(Named(value))
    return found


_NO_COMMANDS = (("project",), ("dependency-groups",), ("build-system",))
_FREEZER_TABLE = re.compile(r"pyinstaller|nuitka|cx_?freeze|py2exe|py2app")
_SCRIPT_KEYS = word_set(
    "console entry-point entrypoint executables main script scriptname scripts source spec windows"
)


def _is_script_key(path: tuple[str, ...]) -> bool:
    if not any(_FREEZER_TABLE.search(part) for part in path[1:-1]):
        return False
    return path[-1] in _SCRIPT_KEYS or path[-2] == "scripts"


def _briefcase_scripts(app: str, sources: Any) -> Iterator[str]:
    """The main module of a briefcase app: the source that has its name, or the only one."""
    if not isinstance(sources, list):
        return
    entries = [each for each in sources if isinstance(each, str)]
    for entry in entries:
        path = PurePosixPath(entry)
        if path.stem == app.replace("-", "_") or len(entries) == 1:
            yield entry if path.suffix in _SCRIPTS else f"{entry}/__main__.py"


_ACTION = re.compile(r"^[ \t]*(?:-[ ])?uses:[ ]*[\"']?\S*(?:nuitka|pyinstaller)\S*", re.I | re.M)
_ACTION_INPUT = re.compile(r"^[ \t]*(?:script-name|spec):[ ]*[\"']?([^\s\"'#]+)", re.MULTILINE)


def _named_in_actions(text: str) -> set[Named]:
    """What a GitHub action for Nuitka or PyInstaller is told to freeze."""
    return set(map(Named, _ACTION_INPUT.findall(text))) if _ACTION.search(text) else set()
