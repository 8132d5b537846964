"""How long LibCST's parser would take over brackets that it reads again and again.

Its grammar tries one form of a pattern after the other, and of a target of ``del``, and keeps no
result: each bracket doubles the time for what is in it, tuples and mappings in a ``case`` make it
four times as long. Seen with LibCST 1.9: ten tuples in each other take over a second. In all other
places it remembers what it has read.
"""

from __future__ import annotations

import re

#: About a microsecond each, or less: the characters, times how often each is read.
MOST_READINGS = 1 << 21

_BEGINNINGS = re.compile(
    r"(?:^|[\r;:])[ \t\f]*(case|del)\b(?=(?:\\(?:\r\n|\r|\n)|[^\r\n])*?[(\[{])", re.MULTILINE
)
_PARTS = re.compile(
    r"""
    (?s:\"\"\".*?\"\"\" | '''.*?''')
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
    | \#[^\n]*
    | \\(?:\r\n|\r|\n)
    | (?P<open>\w?[(\[{])
    | (?P<close>[)\]}])
    | (?P<end>[\r\n])
    """,
    re.VERBOSE,
)


def takes_too_long(source: str) -> bool:
    """Whether *source* holds patterns or ``del`` statements that LibCST would read for too long."""
    readings = 0
    for beginning in _BEGINNINGS.finditer(source):
        readings += _readings(source, beginning.end(), 2 if beginning[1] == "case" else 1)
        if readings > MOST_READINGS:
            return True
    return False


def _readings(source: str, begin: int, most: int) -> int:
    """How often the characters of the logical line from *begin* on are read, in sum.

    *most*: how many times a tuple doubles it.
    """
    readings = 0
    doubled = 0
    brackets: list[int] = []
    place = begin
    for part in _PARTS.finditer(source, begin):
        if part["end"] and not brackets:
            break
        if not (part["open"] or part["close"]):
            continue
        readings += (part.end() - place) << doubled
        place = part.end()
        if readings > MOST_READINGS:
            break
        if part["open"]:
            # Lists and the arguments of a class are told by their first bracket.
            brackets.append(most if part["open"] in ("(", "{") else 1)
            doubled += brackets[-1]
        elif brackets:
            doubled -= brackets.pop()
        else:
            break
    return readings
