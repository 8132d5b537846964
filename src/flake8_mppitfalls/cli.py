"""The command ``mppitfalls``: what the rules are about, in the terminal.

Nothing here imports the rules, and LibCST with them, before it is needed.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flake8_mppitfalls import __version__

if TYPE_CHECKING:
    from flake8_mppitfalls.pages.page import Page

_UNKNOWN = 1
"""The status where a rule was asked for that does not exist. (argparse takes 2 for bad usage.)"""

_ALIKE = 0.6
_AS_GOOD = 0.05
"""How like a rule's a name has to be for a suggestion, and how much less than the best one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _explain(options.rules) if options.command == "explain" else _rules()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (``head``, a pager) has gone; Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNKNOWN
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mppitfalls",
        description="Explains what flake8 reports as MPPnnn: traps in Python's process APIs.",
        epilog="The traps are found by flake8: flake8 --select=MPP,E9",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    explain = commands.add_parser(
        "explain",
        help="what a rule finds, why that is bad, and what to write instead",
        description="Shows the page of each rule that is named.",
    )
    explain.add_argument(
        "rules", nargs="+", metavar="RULE", help="a code or a name: MPP403, pool-not-joined"
    )
    commands.add_parser(
        "rules",
        help="all rules, and whether they are on by default",
        description="Lists all rules, and whether they are on by default.",
    )
    return parser


def _explain(wanted: Sequence[str]) -> int:
    from flake8_mppitfalls.pages import evidence
    from flake8_mppitfalls.pages.page import all_pages
    from flake8_mppitfalls.pages.terminal import Terminal

    pages = {key: page for page in all_pages() for key in (page.code, page.name)}
    known = [pages[_key(name)] for name in wanted if _key(name) in pages]
    terminal = Terminal.of(sys.stdout)
    shown = [terminal.page(page, evidence.gist(page.code)) for page in dict.fromkeys(known)]
    sys.stdout.write("\n\n".join(shown))
    unknown = [name for name in wanted if _key(name) not in pages]
    for name in unknown:
        print(f"mppitfalls: {_no_rule(name, pages)}", file=sys.stderr)
    return _UNKNOWN if unknown else 0


def _rules() -> int:
    from flake8_mppitfalls.pages.page import all_pages
    from flake8_mppitfalls.pages.terminal import Terminal

    sys.stdout.write(Terminal.of(sys.stdout).table(all_pages()))
    return 0


def _key(text: str) -> str:
    """A code or name as it is written in the rules."""
    text = text.strip().replace("_", "-").lower()
    return text.upper() if text.startswith("mpp") else text


def _no_rule(name: str, pages: dict[str, Page]) -> str:
    likeness = {
        key: difflib.SequenceMatcher(None, _key(name), key).ratio() for key in sorted(pages)
    }
    least = max(_ALIKE, max(likeness.values()) - _AS_GOOD)
    near = dict.fromkeys(pages[key] for key, ratio in likeness.items() if ratio >= least)
    rules = [f"{page.code} ({page.name})" for page in near]
    advice = f"did you mean {' or '.join(rules)}?" if rules else "'mppitfalls rules' lists them all"
    return f"there is no rule {name!r}: {advice}"
