"""Makes the table of the rules in README.md from the rules themselves.

python scripts/readme_table.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.base import Rule
from flake8_mppitfalls.settings import OPT_IN_CODES

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- rules: made by scripts/readme_table.py -->\n"
END = "<!-- end of rules -->\n"


def table() -> str:
    """The table, in Markdown."""
    head = ["| code | name | finds | |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [_row(rule) for rule in registry.all_rules()]) + "\n"


def renewed(text: str) -> str:
    """The text of the README with the table as it should be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the README has lost the marks around the table")
    return before + begin + table() + end + after


def _row(rule: type[Rule]) -> str:
    summary = (rule.__doc__ or "").strip().splitlines()[0]
    cells = [rule.code, rule.name, summary.replace("``", "`").replace("|", "\\|"), _default(rule)]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _default(rule: type[Rule]) -> str:
    if rule.opt_in:
        return "opt-in"
    return "part opt-in" if rule.code in OPT_IN_CODES else ""


def main() -> int:
    """Write the table into the README."""
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
