"""Reading TOML, on Python 3.10 too."""

from __future__ import annotations

import ast
import re
import sys
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML text as nested dictionaries; {} if it is none. (Python 3.10: see `_simple_toml`.)"""
    if _ENDLESS_KEY.search(text):
        return {}
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError):
            return {}
    return _simple_toml(text)


#: `tomllib` needs minutes for a key of many thousand parts.
_ENDLESS_KEY = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){100}")
_HEADER = re.compile(r"^[ \t]*\[(\[?)([\w.\-\"' \t]+)\]?\][ \t]*(?:#.*)?$", re.MULTILINE)
_KEY = re.compile(r"^[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[\w.-]+)[ \t]*=", re.MULTILINE)
_KEY_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")
_TOML_TOKEN = re.compile(
    r"""(?P<string>\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""|(?P<comment>\#[^\n]*)|(?<![\w.-])(?P<key>[\w.-]+)\s*=|(?P<word>\b(?:true|false)\b)"""
)


def _simple_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text whose values are strings, lists and inline tables of such.

    Only for Python 3.10, which has no `tomllib`: a value is rewritten as a Python literal and
    read as one. What that cannot take (dates, multi-line texts with `=` in them) is left out.
    """
    result: dict[str, Any] = {}
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers] + [len(text)]
    _read_table(result, text[: ends[0]])
    for header, end in zip(headers, ends[1:], strict=True):
        table = _toml_table(result, header.group(2), in_list=bool(header.group(1)))
        _read_table(table, text[header.end() : end])
    return result


def _read_table(table: dict[str, Any], text: str) -> None:
    keys = list(_KEY.finditer(text))
    ends = [key.start() for key in keys] + [len(text)]
    for key, end in zip(keys, ends[1:], strict=True):
        literal = _TOML_TOKEN.sub(_as_python, text[key.end() : end]).strip()
        try:
            value = ast.literal_eval(literal)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        *path, name = _key_parts(key.group(1)) or [""]
        _toml_table(table, ".".join(path), in_list=False)[name] = value


def _as_python(token: re.Match[str]) -> str:
    if token["key"]:
        return repr(token["key"]) + ":"
    if token["word"]:
        return token["word"].capitalize()
    return "" if token["comment"] else token[0]


def _key_parts(dotted: str) -> list[str]:
    return ["".join(groups) for groups in _KEY_PART.findall(dotted)]


def _toml_table(tables: dict[str, Any], dotted: str, in_list: bool) -> dict[str, Any]:
    parts = _key_parts(dotted)
    for index, part in enumerate(parts):
        below = tables.setdefault(part, {})
        if in_list and index == len(parts) - 1:
            tables[part] = below = below if isinstance(below, list) else []
            below.append({})
        if isinstance(below, list) and below:
            below = below[-1]
        if not isinstance(below, dict):
            return {}
        tables = below
    return tables
