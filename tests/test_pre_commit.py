"""pre-commit for real: a commit with a trap in it is refused, and goes through when put right.

The hooks are those of the README, word for word; only the addresses are of repositories made here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from linting import TRAP
from readme import ROOT, block
from tools import missing, need, run

pytestmark = pytest.mark.slow

REPORT = "trap.py:6:18: MPP201 "
RIGHT = TRAP.replace("lambda row: row + 1", "abs")
#: As much of PyCQA's flake8 repository as pre-commit needs.
FLAKE8_HOOK = """\
- id: flake8
  name: flake8
  entry: flake8
  language: python
  types: [python]
  require_serial: true
"""
FLAKE8_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "hook-of-flake8"
version = "1"
dependencies = ["flake8"]

[tool.hatch.build.targets.wheel]
bypass-selection = true
"""


@dataclass(frozen=True)
class Git:
    """Runs git and pre-commit, untouched by the configuration of the person who runs the tests."""

    environment: Mapping[str, str]

    def __call__(self, folder: Path, *arguments: str, limit: float = 120) -> tuple[int, str]:
        return run(["git", *arguments], folder, self.environment, limit=limit)

    def ok(self, folder: Path, *arguments: str) -> str:
        status, output = self(folder, *arguments)
        assert status == 0, output
        return output

    def repository(self, folder: Path) -> str:
        """Make a repository of a folder, all of it committed and tagged v1; its address."""
        self.ok(folder, "init", "--quiet")
        self.ok(folder, "add", "--all")
        self.ok(folder, "commit", "--quiet", "--message=all of it")
        self.ok(folder, "tag", "v1")
        return folder.as_uri()


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    need("pre_commit")
    if shutil.which("git") is None:
        missing("git is not installed")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "PRE_COMMIT")) and name not in ("PYTHONPATH", "SKIP")
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{who}_NAME"] = "A. Tester"
        environment[f"GIT_{who}_EMAIL"] = "tester@example.com"
    return Git(
        {
            **environment,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
            "PRE_COMMIT_COLOR": "never",
            "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("pre-commit")),
        }
    )


@pytest.fixture(scope="module")
def plugin(git: Git, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository with this project as it lies here, committed or not."""
    folder = tmp_path_factory.mktemp("plugin") / "repository"
    for name in ("src", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(file, folder)
    return git.repository(folder)


@pytest.fixture(scope="module")
def flake8_hook(git: Git, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository that stands for PyCQA's flake8, from which pre-commit installs flake8."""
    folder = tmp_path_factory.mktemp("flake8") / "repository"
    folder.mkdir()
    (folder / ".pre-commit-hooks.yaml").write_text(FLAKE8_HOOK, encoding="utf-8")
    (folder / "pyproject.toml").write_text(FLAKE8_PROJECT, encoding="utf-8")
    return git.repository(folder)


@pytest.mark.parametrize("mark", ["the hook", "the hook of flake8"])
def test_a_commit_with_a_trap_is_refused(
    git: Git, plugin: str, flake8_hook: str, tmp_path: Path, mark: str
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    configuration = (
        block(mark)
        .replace("<address of this repository>", plugin)
        .replace("https://github.com/PyCQA/flake8", flake8_hook)
        .replace("<a commit or tag>", "v1")
    )
    assert "<" not in configuration
    (folder / ".pre-commit-config.yaml").write_text(configuration, encoding="utf-8")
    git.repository(folder)
    install = [sys.executable, "-m", "pre_commit", "install", "--install-hooks"]
    for _ in range(2):  # A package index may stumble.
        status, output = run(install, folder, git.environment, limit=600)
        if status == 0:
            break
    else:
        missing(f"pre-commit can't install the hooks; is there a package index?\n{output}")

    trap = folder / "trap.py"
    trap.write_text(TRAP, encoding="utf-8")
    git.ok(folder, "add", "trap.py")
    status, output = git(folder, "commit", "--message=a trap")
    assert status == 1, output
    assert REPORT in output
    assert output.count(" MPP") == 1
    assert git.ok(folder, "log", "--format=%s").split("\n") == ["all of it", ""]

    trap.write_text(RIGHT, encoding="utf-8")
    git.ok(folder, "add", "trap.py")
    status, output = git(folder, "commit", "--message=put right")
    assert status == 0, output
    assert git.ok(folder, "log", "--format=%s").split("\n") == ["put right", "all of it", ""]
