"""Builds the documentation with Sphinx: python scripts/build_docs.py [FOLDER]

What is in docs/ is completed first. The pages of the rules are made from the docstrings, and kept
nowhere. In the other pages

- ``<!-- README: Options -->`` stands for that section of the README (without a name: for what is
  above its first section),
- ``<!-- flake8 -->`` for what flake8 reports about the block of code above it. That begins with a
  comment, which is for the tests, too::

      <!-- trap: MPP101 MPP601
      start: spawn
      raises: RuntimeError
      -->

  or ``right`` instead of ``trap``: the codes that are reported, then lines as in the header of a
  fixture (fixtures/README.md),
- the code of a rule becomes a link to its page.

The long table of docs/evidence.md is cut into one for each rule.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from flake8_mppitfalls.pages import evidence
from flake8_mppitfalls.pages.page import Block, Page, all_pages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = ROOT / "build" / "docs"

_CODE = re.compile(r"\bMPP\d{3}\b")
_README = re.compile(r"^<!-- README:(.*?)-->$", re.MULTILINE)
_FLAKE8 = "<!-- flake8 -->"
_COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_PROGRAM = re.compile(
    r"^<!-- (?P<kind>trap|right):? ?(?P<codes>[MP\d ]*)\n?(?P<header>.*?)-->\n"
    r"```python\n(?P<text>.*?)^```\n",
    re.DOTALL | re.MULTILINE,
)
#: What can't have a link in it: code, links, headings, comments.
_NO_LINKS = re.compile(
    r"(^```.*?^```$|^#.*?$|<!--.*?-->|`[^`\n]+`|\[[^\]]*\]\([^)]*\))", re.DOTALL | re.MULTILINE
)
_LOCAL_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)]*)\)")


@dataclass(frozen=True)
class Program:
    """A marked block of code, and what the comment above it says."""

    text: str
    is_trap: bool
    codes: tuple[str, ...]
    """What flake8 reports, from top to bottom."""

    header: tuple[str, ...]
    """How it is run and what is seen then, line by line."""

    @property
    def options(self) -> list[str]:
        """The options that flake8 needs to report it."""
        lines = [line for line in self.header if line.startswith("options:")]
        return [word for line in lines for word in line.split()[1:]]


def programs(markdown: str) -> list[Program]:
    """The marked blocks of code of a page."""
    return [
        Program(
            match["text"],
            match["kind"] == "trap",
            tuple(match["codes"].split()),
            tuple(line.strip() for line in match["header"].splitlines() if line.strip()),
        )
        for match in _PROGRAM.finditer(markdown)
    ]


def reports(program: Program) -> str:
    """What flake8 prints about a program."""
    command = [sys.executable, "-m", "flake8", "--isolated", "--select=MPP,E9", *program.options]
    run = subprocess.run(
        [*command, "--stdin-display-name=program.py", "-"],
        input=program.text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if run.returncode not in (0, 1) or run.stderr:
        raise ValueError(f"flake8 failed: {run.stderr}")
    return run.stdout


def source_pages() -> dict[str, str]:
    """All pages in Markdown, complete, by their path."""
    written = {
        path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(DOCS.rglob("*.md"))
    }
    situations = {path: text for path, text in written.items() if path.startswith("situations/")}
    rules = all_pages()
    made = {f"rules/{rule.code}.md": rule_page(rule, situations) for rule in rules}
    made["rules/index.md"] = table_page(rules)
    codes = {rule.code for rule in rules}
    pages = {path: _filled(text) for path, text in written.items()} | made
    pages["evidence.md"] = evidence_page(pages["evidence.md"], rules)
    return {path: _linked(path, text, codes) for path, text in pages.items()}


def rule_page(rule: Page, situations: dict[str, str]) -> str:
    """The page of a rule; *situations* are the pages that may name it."""
    return "\n\n".join(_rule_parts(rule, situations)) + "\n"


def _rule_parts(rule: Page, situations: dict[str, str]) -> Iterator[str]:
    yield f"# {rule.code} {rule.name}"
    yield f"{rule.summary} *{rule.switch}*"
    yield _fenced("text", f"{rule.code} {rule.message}")
    for section in rule.sections:
        if section.title == "References":
            yield from _evidence_parts(rule)
        yield f"## {section.title}"
        is_example = section.title in ("Example", "Use instead")
        for block in section.blocks:
            yield _markdown(block, is_example)
    met = [
        f"- [{text.partition(chr(10))[0].removeprefix('# ')}](../{path})"
        for path, text in situations.items()
        if rule.code in _CODE.findall(text)
    ]
    if met:
        yield "## See also"
        yield "\n".join(met)


def _evidence_parts(rule: Page) -> Iterator[str]:
    gist = evidence.gist(rule.code)
    if gist.sentence or gist.tests:
        yield "## What the runs showed"
    if gist.sentence:
        yield f"{gist.sentence} [All that was seen](../evidence.md#{rule.code.lower()})."
    for versions, errors in groupby(gist.errors, key=lambda error: error.versions):
        if versions:
            yield f"Python {versions}:"
        yield _fenced("text", "\n".join(error.text for error in errors))
    yield from gist.tests


def _markdown(block: Block, is_example: bool) -> str:
    if not block.is_code:
        return block.text
    return _fenced("python" if is_example or _is_python(block.text) else "text", block.text)


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def table_page(rules: Iterable[Page]) -> str:
    """The page with all rules, family by family."""
    rules = list(rules)
    parts = [
        "# Rules",
        "Each rule has a page: what it finds, why that is bad, an example, what to write instead,"
        " and the errors that were seen when programs with the trap were run. In the terminal,"
        " `mppitfalls explain MPP403` shows the same.",
        "A rule that is *opt-in* is off until `--mpp-opt-in` names it. One that is *part opt-in* is"
        " on, and finds more when it is named there.",
        "\n".join(["```{toctree}", ":hidden:", "", *[rule.code for rule in rules], "```"]),
    ]
    for family, group in groupby(rules, key=lambda rule: rule.family):
        rows = ["| Code | Name | Finds | Default |", "| --- | --- | --- | --- |"]
        for rule in group:
            cells = [rule.code, rule.name, rule.summary.replace("|", "\\|"), rule.default]
            rows.append(f"| {' | '.join(cells)} |")
        parts += [f"## {family}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def evidence_page(markdown: str, rules: Iterable[Page]) -> str:
    """The page with all that was seen, its first table cut into one for each rule."""
    before, _, rest = markdown.partition("| Rule |")
    table, end, after = rest.partition("\n\n")
    columns, line, *rows = table.splitlines()
    tables: dict[str, list[str]] = {}
    for row in rows:
        codes, cells = row[2:].split(" | ", 1)
        for code in codes.split(", "):
            tables.setdefault(code, []).append(f"| {cells}")
    head = f"|{columns}\n{line.replace('| --- ', '', 1)}"
    sections = [
        f"## {rule.code}\n\n{rule.code}: {rule.summary}\n\n{head}\n" + "\n".join(tables[rule.code])
        for rule in rules
        if rule.code in tables
    ]
    return before + "\n\n".join(sections) + end + after


def readme_section(title: str) -> str:
    """A section of the README with its heading; without a title, what is above the first one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    named = {section.partition("\n")[0].removeprefix("## "): section for section in sections}
    if title and title not in named:
        raise ValueError(f"the README has no section {title!r}, which the documentation wants")
    section = named[title] if title else first.partition("\n")[2]
    return _LOCAL_LINK.sub(_local_link, section).strip()


def _local_link(match: re.Match[str]) -> str:
    """Of a link of the README: what it is here, where only docs/ is."""
    label, target = match.groups()
    return f"[{label}]({target.removeprefix('docs/')})" if target.startswith("docs/") else label


def _filled(markdown: str) -> str:
    markdown = _README.sub(lambda match: readme_section(match[1].strip()), markdown)
    filled, *others = markdown.split(_FLAKE8)
    for part in others:
        filled += _with_caption("flake8 says", reports(programs(filled)[-1])) + part
    return _COMMENT.sub("", filled)


def _linked(path: str, markdown: str, codes: set[str]) -> str:
    """The page with the codes of rules, but its own, as links."""
    up = "../" * path.count("/")

    def link(match: re.Match[str]) -> str:
        code = match[0]
        target = f"rules/{code}.md"
        return f"[{code}]({up}{target})" if code in codes and target != path else code

    parts = _NO_LINKS.split(markdown)
    parts[::2] = [_CODE.sub(link, part) for part in parts[::2]]
    return "".join(parts)


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _with_caption(caption: str, text: str) -> str:
    return _fenced("{code-block} text", f":caption: {caption}\n\n{text}")


def build(folder: Path) -> int:
    """Build the site into *folder*; the status of Sphinx, for which a warning is an error."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        for path, text in source_pages().items():
            (source / path).parent.mkdir(exist_ok=True)
            (source / path).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "sphinx", "--quiet", "--nitpicky", "--fail-on-warning"]
        command += ["--keep-going", "--fresh-env", "--conf-dir", str(DOCS)]
        command += ["--doctree-dir", str(source / ".doctrees"), str(source), str(folder)]
        return subprocess.run(command, check=False).returncode


def main() -> int:
    """Build the site where the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SITE, help="default: build/docs")
    folder: Path = parser.parse_args().folder
    status = build(folder)
    if status == 0:
        print(folder / "index.html")
    return status


if __name__ == "__main__":
    sys.exit(main())
