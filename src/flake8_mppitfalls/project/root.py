"""Where a project begins."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from flake8_mppitfalls.project.reading import absolute

if TYPE_CHECKING:
    from pathlib import Path

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


def find_root(filename: str) -> Path | None:
    """The nearest folder above `filename` that holds one of `_MARKERS`; None for standard input."""
    from pathlib import Path

    path = absolute(filename)
    root = None if path is None else root_above(os.path.dirname(path))
    return None if root is None else Path(root)


@functools.lru_cache(maxsize=4096)
def root_above(folder: str) -> str | None:
    """The root for files in this folder (an absolute path): it, or the nearest above it."""
    while True:
        # `exists` is false, and raises nothing, for link loops and folders that can't be read.
        if any(os.path.exists(os.path.join(folder, marker)) for marker in _MARKERS):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
