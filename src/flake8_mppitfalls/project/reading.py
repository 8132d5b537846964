"""Reading other files: bounded, and never with an error.

Everything that `project` learns comes from files that nobody promised to be there, readable,
small or well-formed. So whatever goes wrong here is the same answer: nothing. Results are not
cached here but by those who ask, who keep what they learnt and not the text.
"""

from __future__ import annotations

import ast
import codecs
import io
import itertools
import os
import stat
import tokenize
import warnings

#: A packaging, CI or build file larger than this tells us nothing.
MAX_BYTES = 256 * 1024
#: So many entries of a folder are looked at.
MAX_ENTRIES = 5000


def absolute(filename: str) -> str | None:
    """The absolute path of what flake8 calls `filename`; None for standard input."""
    if filename in ("", "-", "stdin"):
        return None
    try:
        return os.path.abspath(filename)
    except (OSError, ValueError):  # the working directory is gone
        return None


def read_text(path: str, limit: int = MAX_BYTES) -> str:
    """The text of a regular file of at most `limit` bytes; "" for anything else."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would block, a device never end
            return ""
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError):
        return ""
    return (
        "" if len(data) > limit else _decode(data, python=path.endswith((".py", ".pyw", ".spec")))
    )


def _decode(data: bytes, python: bool) -> str:
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell writes such files
        encoding = "utf-16"
    elif python:
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        except (SyntaxError, ValueError):
            return ""
    try:
        return data.decode(encoding, errors="replace")
    except (LookupError, ValueError):
        return ""


def parse_python(text: str) -> ast.Module | None:
    """The `ast` tree of a text, or None where there is none; without warnings about the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """The names of a folder's files and of its folders (no links to folders), sorted; bounded."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, MAX_ENTRIES):
                (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
    except (OSError, ValueError):
        pass
    return sorted(files), sorted(folders)


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())
