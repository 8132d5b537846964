"""The options: what may be set, and what is said where it may not."""

from __future__ import annotations

import argparse
import dataclasses

import pytest
from linting import settings

from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.settings import (
    OPT_IN_CODES,
    Settings,
    parse_frozen,
    parse_max_workers,
    parse_opt_in,
    parse_start_methods,
)


def test_defaults_of_the_options_are_those_of_the_settings() -> None:
    assert settings() == Settings()
    assert Settings() == Settings(
        start_methods=frozenset({"fork", "forkserver", "spawn"}),
        frozen="auto",
        max_workers=61,
        opt_in=frozenset(),
    )


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().frozen = "yes"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fork", {"fork"}),
        ("spawn,fork", {"spawn", "fork"}),
        (" spawn ,\n  forkserver,\n", {"spawn", "forkserver"}),
        ("spawn forkserver", {"spawn", "forkserver"}),
    ],
)
def test_start_methods(text: str, expected: set[str]) -> None:
    assert parse_start_methods(text) == expected
    assert settings("--mpp-start-methods", text).start_methods == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no start method given"),
        (",", "no start method given"),
        ("threads", "unknown start method 'threads'"),
        ("fork,Spawn,thread", "unknown start method 'Spawn', 'thread'"),
    ],
)
def test_wrong_start_methods(text: str, problem: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse_start_methods(text)
    assert str(caught.value) == (
        f"{problem}: give one or more of fork, forkserver, spawn, separated by commas"
    )


@pytest.mark.parametrize("text", ["auto", "yes", "no", " YES "])
def test_frozen(text: str) -> None:
    assert parse_frozen(text) == text.strip().lower()


@pytest.mark.parametrize("text", ["", "true", "yes,no"])
def test_wrong_frozen(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give one of auto, yes, no"):
        parse_frozen(text)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), (" 61 ", 61), ("1000", 1000)])
def test_max_workers(text: str, expected: int) -> None:
    assert parse_max_workers(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-4", "2.5", "many"])
def test_wrong_max_workers(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give a whole number, 1 or more"):
        parse_max_workers(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("MPP503", {"MPP503"}),
        ("mpp402, MPP804", {"MPP402", "MPP804"}),
        ("all", set(OPT_IN_CODES)),
        ("MPP402,ALL", set(OPT_IN_CODES)),
    ],
)
def test_opt_in(text: str, expected: set[str]) -> None:
    assert parse_opt_in(text) == expected
    assert {code for code in OPT_IN_CODES if settings("--mpp-opt-in", text).wants(code)} == expected


@pytest.mark.parametrize("text", ["MPP201", "MPP4", "everything", "MPP503,none"])
def test_wrong_opt_in(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse_opt_in(text)
    assert "unknown opt-in code" in str(caught.value)
    assert "give all, or some of MPP402, MPP405" in str(caught.value)


def test_every_opt_in_rule_can_be_switched_on() -> None:
    opt_in = {rule.code for rule in registry.all_rules() if rule.opt_in}
    assert opt_in <= set(OPT_IN_CODES)
