"""Makes the table of the rules in README.md from the rules themselves.

python scripts/readme_table.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from flake8_mppitfalls.pages.page import Page, all_pages

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- rules: made by scripts/readme_table.py -->\n"
END = "<!-- end of rules -->\n"


def table() -> str:
    """The table, in Markdown."""
    head = ["| code | name | finds | |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [_row(page) for page in all_pages()]) + "\n"


def renewed(text: str) -> str:
    """The text of the README with the table as it should be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the README has lost the marks around the table")
    return before + begin + table() + end + after


def _row(page: Page) -> str:
    summary = page.summary.replace("|", "\\|")
    cells = [page.code, page.name, summary, "" if page.default == "on" else page.default]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def main() -> int:
    """Write the table into the README."""
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
