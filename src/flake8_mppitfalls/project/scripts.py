"""Which functions of a file are entry points: console scripts, and what `__main__.py` calls."""

from __future__ import annotations

import ast
import configparser
import functools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flake8_mppitfalls.project.literals import (
    constants,
    dotted_name,
    items,
    last_name,
    string,
    strings,
)
from flake8_mppitfalls.project.reading import absolute, parse_python, read_text
from flake8_mppitfalls.project.root import root_above
from flake8_mppitfalls.project.toml import parse_toml

_KINDS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"([\w.]+)\s*:\s*([\w.]+)")
_SOURCE_FOLDERS = ("src", "lib", "python")
_MAX_LEVELS = 8


def console_scripts(filename: str) -> frozenset[str]:
    """The functions of this file (`main`; `App.main` for a method) that are console or GUI scripts.

    Read from the project's pyproject.toml (`[project.scripts]`, `[project.gui-scripts]`, poetry's
    and flit's tables), setup.cfg and setup.py (`entry_points`).
    """
    path = absolute(filename)
    root = None if path is None else root_above(os.path.dirname(path))
    if path is None or root is None:
        return frozenset()
    found = (function for module, function in _entry_points(root) if _is_module(path, root, module))
    return frozenset(found)


def _is_module(path: str, root: str, module: str) -> bool:
    """Whether the project imports this file under that name."""
    stem = _stem(path)
    parts = module.split(".")
    for folder in ("", *_SOURCE_FOLDERS):
        if stem == os.path.join(root, folder, *parts):
            return True
    # Another folder of sources (`where = ["backend"]`): no package itself, and nothing nearer fits.
    if not stem.endswith(os.sep + os.path.join(*parts)):
        return False
    sources = stem[: -len(os.path.join(*parts)) - 1]
    return os.path.dirname(sources) == root and not (
        os.path.exists(os.path.join(sources, "__init__.py"))
        or os.path.exists(os.path.join(root, parts[0]))
        or os.path.exists(os.path.join(root, "src", parts[0]))
    )


def _stem(path: str) -> str:
    """The path of the module without `.py`, and of a package without `__init__.py`."""
    stem = os.path.splitext(path)[0]
    return os.path.dirname(stem) if os.path.basename(stem) == "__init__" else stem


@functools.lru_cache(maxsize=128)
def _entry_points(root: str) -> frozenset[tuple[str, str]]:
    """The project's scripts as pairs of module and function."""
    references = [
        *_in_pyproject(parse_toml(read_text(os.path.join(root, "pyproject.toml")))),
        *_in_setup_cfg(read_text(os.path.join(root, "setup.cfg"))),
        *_in_setup_py(read_text(os.path.join(root, "setup.py"))),
    ]
    found = (_REFERENCE.match(reference.strip()) for reference in references)
    return frozenset((match[1], match[2]) for match in found if match)


def _table(data: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _in_pyproject(data: dict[str, Any]) -> Iterator[str]:
    tables = [
        _table(data, "project", "scripts"),
        _table(data, "project", "gui-scripts"),
        _table(data, "tool", "poetry", "scripts"),
        _table(data, "tool", "flit", "scripts"),
    ]
    for table in tables:
        for value in table.values():
            if isinstance(value, dict):  # poetry's long form
                value = value.get("reference") or value.get("callable")
            if isinstance(value, str):
                yield value


def _in_setup_cfg(text: str) -> Iterator[str]:
    if "scripts" in text:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            return
        for kind in _KINDS:
            yield from _values(parser.get("options.entry_points", kind, fallback="").splitlines())


def _in_setup_py(text: str) -> Iterator[str]:
    tree = parse_python(text) if any(kind in text for kind in _KINDS) else None
    if tree is None:
        return
    names = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in items(node):
                if key in _KINDS:
                    for line in strings(value, names):
                        yield from _values((line or "").splitlines())
        elif isinstance(node, ast.Call) and last_name(node.func) in ("setup", "dict"):
            for word in node.keywords:
                if word.arg in _KINDS:
                    yield from _values(line or "" for line in strings(word.value, names))
                elif word.arg == "entry_points":
                    yield from _in_ini(string(word.value, names) or "")


def _in_ini(text: str) -> Iterator[str]:
    """The lines of the sections for scripts in the text form of `entry_points`."""
    section = ""
    for line in text.splitlines():
        if line.strip().startswith("["):
            section = line.strip(" \t[]")
        elif section in _KINDS:
            yield from _values([line])


def _values(lines: Iterable[str]) -> Iterator[str]:
    """`pkg.mod:main` of each `name = pkg.mod:main [extra]`."""
    for line in lines:
        name, equals, reference = line.partition("=")
        if equals and not name.strip().startswith("#"):
            yield reference


def called_from_main_module(filename: str) -> frozenset[str]:
    """The functions of this file that the `__main__.py` of its package (or one above it) calls."""
    path = absolute(filename)
    if path is None or os.path.basename(path) == "__main__.py":
        return frozenset()
    found: set[str] = set()
    folder = os.path.dirname(path)
    for _ in range(_MAX_LEVELS):
        module = os.path.relpath(_stem(path), folder).replace(os.sep, ".").strip(".")
        package = _package_of(folder)
        for target in _called_by(os.path.join(folder, "__main__.py")):
            # A program in a folder that is no package imports its neighbours by their bare names.
            for prefix in (package, "") if package else ("",):
                start = ".".join(filter(None, (prefix, module))) + "."
                relative = "." + ".".join(filter(None, (module,))) + ("." if module else "")
                for each in (start, relative):
                    if target.startswith(each) and target[len(each) :].isidentifier():
                        found.add(target[len(each) :])
        if not os.path.exists(os.path.join(folder, "__init__.py")):
            break
        folder = os.path.dirname(folder)
    return frozenset(found)


@functools.lru_cache(maxsize=1024)
def _package_of(folder: str) -> str:
    """The dotted name of the package that a folder is; "" if it is none."""
    parts: list[str] = []
    while len(parts) < 32 and os.path.exists(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    return ".".join(parts)


@functools.lru_cache(maxsize=256)
def _called_by(path: str) -> frozenset[str]:
    """The dotted names of what a module calls; with a leading dot, from its own package."""
    tree = parse_python(read_text(path))
    if tree is None:
        return frozenset()
    bound: dict[str, str] = {}
    calls: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                bound[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom) and node.level < 2:
            start = "." * node.level + (f"{node.module}." if node.module else "")
            bound.update((alias.asname or alias.name, start + alias.name) for alias in node.names)
        elif isinstance(node, ast.Call):
            calls.append(dotted_name(node.func))
    found: set[str] = set()
    for call in calls:
        name, dot, rest = call.partition(".")
        if name in bound:
            found.add(bound[name] + dot + rest)
    return frozenset(found)
