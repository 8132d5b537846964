"""What the README promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from linting import messages

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The code block after the comment *mark*."""
    match = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```\n", README, re.DOTALL)
    assert match, mark
    return match[1]


def test_the_example() -> None:
    found = messages(block("before"), filename="shrink.py")
    reports = "".join(f"shrink.py:{line}:{column + 1}: {text}\n" for line, column, text in found)
    assert reports == block("reports")
    assert messages(block("after"), filename="shrink.py") == []


@pytest.mark.parametrize(("mark", "count"), [("before", 0), ("after", 2)])
def test_the_example_runs(tmp_path: Path, mark: str, count: int) -> None:
    script = tmp_path / "shrink.py"
    script.write_text(block(mark), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, script, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == f"{count} files done"
    assert done.stderr == ""


def test_the_table_of_the_rules() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from readme_table import renewed
    finally:
        sys.path.pop(0)
    assert renewed(README) == README, "python scripts/readme_table.py makes it new"


def test_the_options() -> None:
    from linting import settings

    assert set(re.findall(r"^\| `--(mpp-[a-z-]+)` \|", README, re.MULTILINE)) == {
        f"mpp-{name.replace('_', '-')}" for name in vars(settings())
    }
