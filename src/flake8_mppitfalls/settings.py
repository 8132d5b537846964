"""The options: what users may set, how it is read, and the values the analysis gets.

flake8 loads this module at every start: it imports little, and nothing of LibCST.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass

START_METHODS = ("fork", "forkserver", "spawn")

FROZEN = ("auto", "yes", "no")

#: ``multiprocessing`` on Windows waits for at most this many workers.
MAX_WORKERS = 61

#: The rules that are off, or partly off, unless they are named in ``--mpp-opt-in``.
OPT_IN_CODES = ("MPP402", "MPP405", "MPP502", "MPP503", "MPP606", "MPP609", "MPP804")


@dataclass(frozen=True)
class Settings:
    """What the user has set, checked."""

    start_methods: frozenset[str] = frozenset(START_METHODS)
    """The start methods that the code must survive."""

    frozen: str = "auto"
    """Whether the program is frozen into an executable: ``auto`` looks for evidence."""

    max_workers: int = MAX_WORKERS
    """The highest worker count that is fine."""

    opt_in: frozenset[str] = frozenset()
    """The codes whose opt-in rule, or opt-in part of a rule, is switched on."""

    def wants(self, code: str) -> bool:
        """Whether the opt-in rule *code*, or the opt-in part of it, is switched on."""
        return code in self.opt_in


def parse_start_methods(text: str) -> frozenset[str]:
    """Read ``--mpp-start-methods``."""
    names = _split(text)
    unknown = [name for name in names if name not in START_METHODS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"{_problem('start method', unknown)}: give one or more of {', '.join(START_METHODS)},"
            " separated by commas"
        )
    return frozenset(names)


def parse_frozen(text: str) -> str:
    """Read ``--mpp-frozen``."""
    value = text.strip().lower()
    if value not in FROZEN:
        raise argparse.ArgumentTypeError(f"unknown value {text!r}: give one of {', '.join(FROZEN)}")
    return value


def parse_max_workers(text: str) -> int:
    """Read ``--mpp-max-workers``."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no worker count: give a whole number, 1 or more"
        )
    return value


def parse_opt_in(text: str) -> frozenset[str]:
    """Read ``--mpp-opt-in``."""
    codes = [code.upper() for code in _split(text)]
    unknown = [code for code in codes if code not in OPT_IN_CODES and code != "ALL"]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{_problem('opt-in code', unknown)}: give all, or some of {', '.join(OPT_IN_CODES)},"
            " separated by commas"
        )
    return frozenset(OPT_IN_CODES if "ALL" in codes else codes)


def _split(text: str) -> list[str]:
    """The items of a list as flake8 takes it: separated by commas, spaces or new lines."""
    return [item for item in re.split(r"[,\s]+", text) if item]


def _problem(what: str, unknown: Iterable[str]) -> str:
    names = ", ".join(map(repr, unknown))
    return f"unknown {what} {names}" if names else f"no {what} given"
