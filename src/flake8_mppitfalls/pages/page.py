"""The page of a rule: its docstring, taken apart once for the terminal and the documentation."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.base import Rule
from flake8_mppitfalls.settings import OPT_IN_CODES

_FIELD = re.compile(r"\{(\w+?)_?\}")
_INDENT = "    "


@dataclass(frozen=True)
class Block:
    """A paragraph, on one line, or some lines of code or output.

    In a paragraph, code stands between backquotes, as in Markdown.
    """

    text: str
    is_code: bool = False


@dataclass(frozen=True)
class Section:
    """One of the sections that every docstring has, such as *Why it is bad*."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """What there is to say about a rule."""

    code: str
    name: str
    family: str
    """What the rules of its hundred have in common."""

    summary: str
    message: str
    """What flake8 prints; what depends on the code that is checked is in angle brackets."""

    default: str
    """``on``, ``opt-in`` or ``part opt-in``."""

    sections: tuple[Section, ...]

    @property
    def switch(self) -> str:
        """A sentence: is the rule on, and what switches it on?"""
        option = f"`--mpp-opt-in={self.code}`"
        return {
            "on": "On by default.",
            "opt-in": f"Off by default: {option} switches it on.",
            "part opt-in": f"On by default; {option} lets it find more.",
        }[self.default]


def all_pages() -> tuple[Page, ...]:
    """The pages of all rules, sorted by code."""
    return tuple(map(page_of, registry.all_rules()))


def page_of(rule: type[Rule]) -> Page:
    """The page of *rule*."""
    text = inspect.cleandoc(rule.__doc__ or "").replace("``", "`")
    summary, _, rest = text.partition("\n")
    return Page(
        code=rule.code,
        name=rule.name,
        family=_family(rule),
        summary=summary,
        message=_FIELD.sub(r"<\1>", rule.message),
        default=_default(rule),
        sections=tuple(_sections(rest.splitlines())),
    )


def _family(rule: type[Rule]) -> str:
    package = sys.modules[rule.__module__.rpartition(".")[0]]
    return (package.__doc__ or "").rstrip(".\n")


def _default(rule: type[Rule]) -> str:
    if rule.opt_in:
        return "opt-in"
    return "part opt-in" if rule.code in OPT_IN_CODES else "on"


def _sections(lines: list[str]) -> Iterator[Section]:
    """A title stands at the left margin and ends with a colon; what belongs to it is indented."""
    titles = [index for index, line in enumerate(lines) if line and not line.startswith(" ")]
    for begin, end in zip(titles, [*titles[1:], len(lines)], strict=True):
        body = [line.removeprefix(_INDENT) for line in lines[begin + 1 : end]]
        yield Section(lines[begin].rstrip(":"), tuple(_blocks(body)))


def _blocks(lines: list[str]) -> Iterator[Block]:
    """Paragraphs; after one that ends with two colons, what is indented is code."""
    index = 0
    code_follows = False
    while index < len(lines):
        begin = index
        if not lines[index]:
            index += 1
        elif code_follows and lines[index].startswith(_INDENT):
            while index < len(lines) and (not lines[index] or lines[index].startswith(_INDENT)):
                index += 1
            code = inspect.cleandoc("\n".join(["", *lines[begin:index]]))
            yield Block(code, is_code=True)
            code_follows = False
        else:
            while index < len(lines) and lines[index]:
                index += 1
            text = " ".join(lines[begin:index])
            code_follows = text.endswith("::")
            if text != "::":
                yield Block(text.removesuffix(":") if code_follows else text)
