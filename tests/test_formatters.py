"""The commands that the README has for CI, with the formatters that they need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from linting import TRAP
from readme import block
from tools import need


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose sources have one trap."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "trap.py").write_text(TRAP, encoding="utf-8")
    return tmp_path


def run(mark: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the README's command, which has flake8 on its PATH."""
    [command] = re.findall(r"^- run: (flake8 .*)$", block(mark), re.MULTILINE)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_annotations(folder: Path) -> None:
    need("flake8_github_annotations")
    done = run("annotations", folder)
    assert (done.returncode, done.stderr) == (1, "")
    [line] = done.stdout.splitlines()
    assert line.startswith("::error file=src/trap.py,line=6,col=18,title=MPP201::")


def test_sarif(folder: Path) -> None:
    need("flake8_sarif_reporter")
    done = run("sarif", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    log = json.loads((folder / "flake8.sarif").read_text(encoding="utf-8"))
    assert log["version"] == "2.1.0"
    [result] = log["runs"][0]["results"]
    assert result["ruleId"] == "MPP201"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "src/trap.py"
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (6, 18)
