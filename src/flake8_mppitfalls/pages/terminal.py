"""Shows pages in a terminal, in colour where that is wanted, and as plain text elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO

from flake8_mppitfalls.pages.evidence import Gist
from flake8_mppitfalls.pages.page import Block, Page

_WIDEST = 100
_INDENT = "    "
_CODE = re.compile(r"`([^`]+)`")

_BOLD = "\x1b[1m"
_CYAN = "\x1b[36m"
_YELLOW = "\x1b[33m"
_RESET = "\x1b[0m"


class Terminal:
    """Lays text out for one stream."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self._colour = colour
        self._width = min(width, _WIDEST)

    @classmethod
    def of(cls, stream: TextIO) -> Terminal:
        """One that suits *stream* and the environment."""
        # Python 3.10 says 0 for a terminal that does not know its width.
        width = shutil.get_terminal_size().columns or _WIDEST
        return cls(colour=wants_colour(stream), width=width)

    def page(self, page: Page, gist: Gist) -> str:
        """Everything about one rule."""
        head = f"{self._paint(page.code, _BOLD + _YELLOW)} {self._paint(page.name, _BOLD)}"
        parts = [head, *map(self._wrap, (page.summary, page.switch))]
        parts += self._section("Message", [Block(f"{page.code} {page.message}")])
        for section in page.sections:
            if section.title == "References":
                parts += self._section("What the runs showed", _blocks(gist))
            parts += self._section(section.title, section.blocks)
        return "\n\n".join(parts) + "\n"

    def table(self, pages: Iterable[Page]) -> str:
        """A line for each rule, below the name of its family."""
        pages = list(pages)
        name = max(len(page.name) for page in pages)
        default = max(len(page.default) for page in pages)
        lines: list[str] = []
        family = ""
        for page in pages:
            if page.family != family:
                family = page.family
                lines += [*([""] if lines else []), self._paint(family, _BOLD)]
            columns = f"{page.name:{name}}  {page.default:{default}}  {self._code(page.summary)}"
            lines.append(f"{self._paint(page.code, _YELLOW)}  {columns}")
        return "\n".join(lines) + "\n"

    def _section(self, title: str, blocks: Iterable[Block]) -> Iterator[str]:
        texts = [
            textwrap.indent(block.text, _INDENT * 2)
            if block.is_code
            else self._wrap(block.text, _INDENT)
            for block in blocks
        ]
        if texts:
            yield "\n".join([self._paint(title, _BOLD), texts[0]])
            yield from texts[1:]

    def _wrap(self, text: str, indent: str = "") -> str:
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return self._code("\n".join(lines))

    def _code(self, text: str) -> str:
        """Code in a sentence has colour where there is any, and backquotes elsewhere."""
        return _CODE.sub(rf"{_CYAN}\1{_RESET}", text) if self._colour else text

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text


def wants_colour(stream: TextIO) -> bool:
    """Is it a terminal that takes colours? ``NO_COLOR`` and ``FORCE_COLOR`` have the last word."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    # The console of old Windows prints the codes; its terminal says that it is there.
    return sys.platform != "win32" or "WT_SESSION" in os.environ


def _blocks(gist: Gist) -> Iterator[Block]:
    if gist.sentence:
        yield Block(gist.sentence)
    if gist.errors:
        lines = [
            f"{error.text}  (Python {error.versions})" if error.versions else error.text
            for error in gist.errors
        ]
        yield Block("\n".join(lines), is_code=True)
    for test in gist.tests:
        yield Block(test)
