"""The README, and the code blocks in it that tests use."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def block(mark: str) -> str:
    """The code block after the comment *mark*."""
    match = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```\n", README, re.DOTALL)
    assert match, mark
    return match[1]


def blocks(language: str) -> list[str]:
    """All code blocks of a language."""
    return [text for name, text in _BLOCK.findall(README) if name == language]
