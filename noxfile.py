"""Tests under several versions of Python, flake8 and LibCST; linting, documentation, packages.

nox                                     all that follows
nox --list                              what there is
nox -s "tests-3.12(oldest)" -- -k MPP   one session, with arguments for pytest
"""

from __future__ import annotations

from pathlib import Path

import nox
from packaging.requirements import Requirement

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

nox.needs_version = ">=2024.4"
# A version of Python that is not here is skipped.
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


def oldest(python: str) -> list[str]:
    """The lowest versions of what the plugin needs that pyproject.toml allows."""
    needed = map(Requirement, nox.project.load_toml("pyproject.toml")["project"]["dependencies"])
    return [
        f"{requirement.name}{requirement.specifier}".replace(">=", "==")
        for requirement in needed
        if not requirement.marker or requirement.marker.evaluate({"python_version": python})
    ]


@nox.session(python=PYTHONS)
@nox.parametrize("needs", ["oldest", "newest"], ids=["oldest", "newest"])
def tests(session: nox.Session, needs: str) -> None:
    """The quick tests (all that are not marked slow)."""
    assert isinstance(session.python, str)
    versions = oldest(session.python) if needs == "oldest" else ["--upgrade"]
    session.install("--editable", ".", "pytest>=8", *versions)
    session.run("flake8", "--version")
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint and types."""
    session.install("--editable", ".[dev]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy", "--strict", "src")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into build/docs."""
    session.install("--editable", ".[docs]")
    session.run("python", "scripts/build_docs.py")


@nox.session
def package(session: nox.Session) -> None:
    """Wheel and sdist, into dist."""
    session.install(".[dev]")
    session.run("python", "-m", "build")
    session.run("check-wheel-contents", "dist")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
