"""Which scripts does a project freeze into executables?

The project's evidence is read once for each root: the set of all scripts that a `.spec` file, a
command or a configuration freezes. Only files with well-known names in well-known folders are
looked at, never the whole tree, and only those that name a freezer are looked at closely (in
`freezers`, which is imported then).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator

from flake8_mppitfalls.project.reading import absolute, list_folder, read_text, word_set
from flake8_mppitfalls.project.root import root_above

_MAX_FILES = 200
_MAX_SUBFOLDERS = 32
_MAX_LEVELS = 8

#: Files of the root that may hold a command or a configuration, by their names in lower case.
_ROOT_FILES = word_set(
    "pyproject.toml setup.py setup.cfg tox.ini tasks.py noxfile.py dodo.py fabfile.py pipfile"
    " dockerfile makefile gnumakefile justfile .justfile taskfile.yml taskfile.yaml package.json"
    " jenkinsfile .gitlab-ci.yml azure-pipelines.yml .azure-pipelines.yml appveyor.yml"
    " .appveyor.yml .travis.yml .cirrus.yml bitbucket-pipelines.yml"
)
_CI_FOLDERS = (".github/workflows", ".circleci", ".azure-pipelines")
_BUILD_FOLDERS = word_set(
    "build build-scripts build_scripts build_tools buildscripts bundle .ci ci contrib deploy"
    " freeze installer installers nuitka package packaging pyinstaller release script scripts"
    " spec specs tool tools windows win mac macos linux"
)
#: Build scripts by their names.
_BUILD_FILE = re.compile(
    r".+\.(?:spec|sh|bash|bat|cmd|ps1)$|makefile$|justfile$"
    r"|(?:build|bundle|compile|freeze|make|package|setup)[\w-]*\.py$",
    re.IGNORECASE,
)
#: A file without any of these words freezes nothing.
_FREEZERS = word_set(
    "pyinstaller pyi-makespec nuitka cxfreeze cx_freeze py2exe py2app py2applet briefcase"
)


def frozen_by_project(filename: str) -> bool:
    """Whether a `.spec` file, a command or a configuration of the project freezes this script."""
    path = absolute(filename)
    root = None if path is None else root_above(os.path.dirname(path))
    if path is None or root is None:
        return False
    wanted = os.path.normcase(path)
    if wanted in _frozen_from_root(root):
        return True
    folder = os.path.dirname(path)
    for _ in range(_MAX_LEVELS):  # its own folder, and those between it and the root
        if folder == root:
            break
        if wanted in _frozen_from_folder(root, folder):
            return True
        folder = os.path.dirname(folder)
    return False


@functools.lru_cache(maxsize=128)
def _frozen_from_root(root: str) -> frozenset[str]:
    """The scripts that the project's files with well-known names freeze."""
    return _frozen_by_files(_evidence_files(root), root)


@functools.lru_cache(maxsize=1024)
def _frozen_from_folder(root: str, folder: str) -> frozenset[str]:
    """The scripts that build files in a folder which holds code freeze."""
    return _frozen_by_files(_build_files(folder), root)


def _frozen_by_files(paths: Iterable[str], root: str) -> frozenset[str]:
    found: set[str] = set()
    for _, path in zip(range(_MAX_FILES), paths, strict=False):
        text = read_text(path)
        if "Analysis" in text if path.endswith(".spec") else _names_a_freezer(text):
            from flake8_mppitfalls.project.freezers import frozen_by_file

            found.update(frozen_by_file(path, text, root))
    return frozenset(map(os.path.normcase, found))


def _names_a_freezer(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _FREEZERS)


def _evidence_files(root: str) -> Iterator[str]:
    files, folders = list_folder(root)
    for name in files:
        if name.lower() in _ROOT_FILES or _BUILD_FILE.match(name):
            yield os.path.join(root, name)
    for ci in _CI_FOLDERS:
        folder = os.path.join(root, *ci.split("/"))
        for name in list_folder(folder)[0] if ci.partition("/")[0] in folders else ():
            if name.endswith((".yml", ".yaml")):
                yield os.path.join(folder, name)
    for name in folders:
        if name.lower() in _BUILD_FOLDERS:
            folder = os.path.join(root, name)
            yield from _build_files(folder)
            for inner in list_folder(folder)[1][:_MAX_SUBFOLDERS]:  # packaging/windows
                yield from _build_files(os.path.join(folder, inner))


def _build_files(folder: str) -> Iterator[str]:
    for name in list_folder(folder)[0]:
        if _BUILD_FILE.match(name):
            yield os.path.join(folder, name)
