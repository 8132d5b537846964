"""What only other files can tell about the file that is linted.

Nothing here imports or runs the project's code, and nothing raises: what can't be read is no
evidence. What was learnt about a path is kept for the life of the process. This module is light;
the rooms behind it are imported by the question that needs them.

    root        where a project begins
    guard       the `__main__` guard
    in_file     does the code itself ask if it is frozen?
    frozen      which scripts does the project freeze?  (freezers and commands read the files)
    scripts     console scripts, and what `__main__.py` calls
    imports     first-party modules that start processes
    reading     bounded reading; toml; literals: constants of build files
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "called_from_main_module",
    "console_scripts",
    "find_root",
    "first_party_calls_freeze_support",
    "first_party_starts_processes",
    "frozen_by_project",
    "frozen_in_file",
    "may_be_frozen_entry",
]

#: A text without any of these words does not ask if it is frozen.
_FROZEN_WORDS = ("frozen", "_MEIPASS", "__compiled__")


def find_root(filename: str) -> Path | None:
    """The nearest folder above with pyproject.toml, setup.py, setup.cfg or .git; None for stdin."""
    from flake8_mppitfalls.project.root import find_root

    return find_root(filename)


def frozen_in_file(tree: ast.Module) -> bool:
    """Whether the code asks if it is frozen: by `sys.frozen`, `sys._MEIPASS` or `__compiled__`."""
    from flake8_mppitfalls.project.in_file import frozen_in_file

    return frozen_in_file(tree)


def frozen_by_project(filename: str) -> bool:
    """Whether a `.spec` file, a command or a configuration of the project freezes this script."""
    from flake8_mppitfalls.project.frozen import frozen_by_project

    return frozen_by_project(filename)


def console_scripts(filename: str) -> frozenset[str]:
    """The functions of this file (`main`, or `App.main`) that are scripts of the project."""
    from flake8_mppitfalls.project.scripts import console_scripts

    return console_scripts(filename)


def called_from_main_module(filename: str) -> frozenset[str]:
    """The functions of this file that the `__main__.py` of its package (or one above it) calls."""
    from flake8_mppitfalls.project.scripts import called_from_main_module

    return called_from_main_module(filename)


def first_party_starts_processes(filename: str, tree: ast.Module) -> bool:
    """Whether a module of the project that this file imports, at any depth, starts processes."""
    from flake8_mppitfalls.project.imports import first_party_starts_processes

    return first_party_starts_processes(filename, tree)


def first_party_calls_freeze_support(filename: str, tree: ast.Module) -> bool:
    """Whether a module of the project that this file imports, at any depth, calls it."""
    from flake8_mppitfalls.project.imports import first_party_calls_freeze_support

    return first_party_calls_freeze_support(filename, tree)


def may_be_frozen_entry(
    source_text: str, tree: ast.Module, filename: str, frozen_option: str
) -> bool:
    """Whether MPP102 may speak in a file that does not use processes itself.

    That is a script with a `__main__` guard which is frozen (`frozen_option`, the option
    `mpp-frozen`, is "yes", or it is "auto" and the file or its project shows it) and which
    imports, from its own project, a module that starts processes. Cheap questions first: most
    files end at the second.
    """
    if frozen_option == "no" or "__main__" not in source_text:
        return False
    from flake8_mppitfalls.project.guard import has_guard

    if not has_guard(tree):
        return False
    if frozen_option != "yes":
        asks = any(word in source_text for word in _FROZEN_WORDS) and frozen_in_file(tree)
        if not asks and not frozen_by_project(filename):
            return False
    return first_party_starts_processes(filename, tree)
