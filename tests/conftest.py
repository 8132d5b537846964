"""What all tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _errors_of_the_plugin_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the analysis fails the test; users get MPP001 instead."""
    monkeypatch.setenv("MPPITFALLS_DEBUG", "1")
