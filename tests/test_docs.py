"""The documentation: its programs do what the pages say, and the site has a page for each rule."""

from __future__ import annotations

import html
import multiprocessing
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from fixture_header import parse_header
from linting import lint
from run_fixture import problems, report, run_fixture
from tools import need

from flake8_mppitfalls.pages.page import all_pages

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import build_docs
    from build_docs import Program, programs
finally:
    sys.path.pop(0)

SITUATIONS = sorted((ROOT / "docs" / "situations").glob("*.md"))
PROGRAMS = {
    f"{path.stem}-{number}": program
    for path in SITUATIONS
    for number, program in enumerate(programs(path.read_text(encoding="utf-8")), 1)
}
RULES = {page.code: page for page in all_pages()}
every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
every_situation = pytest.mark.parametrize("path", SITUATIONS, ids=lambda path: path.stem)


@every_program
def test_reports(program: Program) -> None:
    found = lint(program.text, *program.options)
    assert tuple(one.code for one in found) == program.codes
    assert bool(program.codes) == program.is_trap


@pytest.mark.slow
@every_program
def test_runs(program: Program, tmp_path: Path) -> None:
    path = tmp_path / f"{'trap' if program.is_trap else 'right'}_program.py"
    text = "".join(f"# {line}\n" for line in program.header) + program.text
    path.write_text(text, encoding="utf-8")
    header = parse_header(path, text)
    for start in header.starts:
        if start in multiprocessing.get_all_start_methods():
            for _ in range(3):  # A machine under load may need longer than it should.
                run = run_fixture(header, start)
                if not problems(header, run):
                    break
            else:
                pytest.fail(report(header, start, run), pytrace=False)


@every_situation
def test_each_block_is_marked(path: Path) -> None:
    """What looks like a program is one that the tests run."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    complete = [
        block
        for block in blocks
        if block.startswith(("import", "from")) and re.search(r"(Pool|Process|Executor)\(", block)
    ]
    assert complete == [program.text for program in programs(text)]


@every_situation
def test_each_trap_is_followed_by_what_flake8_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("<!-- flake8 -->") == sum(program.is_trap for program in programs(text))


@every_situation
def test_codes_and_options_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\bMPP\d{3}\b", text)) <= set(RULES)
    for option in set(re.findall(r"--mpp-[a-z-]+=[\w,-]+", text)):
        lint("", option)
    opt_in = {
        code for codes in re.findall(r"--mpp-opt-in=([\w,]+)", text) for code in codes.split(",")
    }
    for code in opt_in:
        assert RULES[code].default != "on"
    for code in set(re.findall(r"(MPP\d{3}) \(opt-in\)", text)):
        assert RULES[code].default == "opt-in"


def test_all_situations_are_on_the_start_page() -> None:
    start = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for path in SITUATIONS:
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"- [{title}](situations/{path.name})\n" in start
        assert f"\nsituations/{path.stem}\n" in start


def test_the_benchmark_that_is_named_is_there() -> None:
    text = (ROOT / "docs" / "situations" / "slow.md").read_text(encoding="utf-8")
    [name] = re.findall(r"^python (\S+\.py)$", text, re.MULTILINE)
    assert "--quick" in text
    assert "--quick" in (ROOT / name).read_text(encoding="utf-8")


def test_links_to_rules() -> None:
    def linked(text: str, path: str = "use.md") -> str:
        return build_docs._linked(path, text, {"MPP101", "MPP102"})

    assert linked("See MPP101.") == "See [MPP101](rules/MPP101.md)."
    assert linked("| MPP101 |", "a/b.md") == "| [MPP101](../rules/MPP101.md) |"
    assert linked("MPP102, MPP101", "rules/MPP101.md") == "[MPP102](../rules/MPP102.md), MPP101"
    for text in (
        "MPP999 MPP1011",
        "`MPP101`",
        "# MPP101 name",
        "[of MPP101](x.md)",
        "```text\nMPP101\n```",
        "<!-- trap: MPP101\nstart: fork\n-->",
    ):
        assert linked(text) == text


def test_a_section_of_the_readme_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no section 'Nonsense'"):
        build_docs.readme_section("Nonsense")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """All pages in Markdown, complete."""
    return build_docs.source_pages()


def test_every_rule_has_its_page(pages: dict[str, str]) -> None:
    table = pages["rules/index.md"]
    assert {path for path in pages if path.startswith("rules/MPP")} == {
        f"rules/{code}.md" for code in RULES
    }
    for code, rule in RULES.items():
        text = pages[f"rules/{code}.md"]
        assert text.startswith(f"# {code} {rule.name}\n\n{rule.summary} *{rule.switch}*\n")
        for section in rule.sections:
            assert f"\n## {section.title}\n" in text
        assert f"| [{code}](../rules/{code}.md) | {rule.name} |" in table


def test_evidence_is_cut_into_a_table_for_each_rule(pages: dict[str, str]) -> None:
    page = pages["evidence.md"]
    table = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8").partition("\n\n## ")[0]
    for code in set(re.findall(r"^\| (MPP\d{3}) ", table, re.MULTILINE)):
        section = page.partition(f"\n## {code}\n")[2].partition("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("| MPP") and code in line]
        wanted = [line.split(" | ", 1)[1] for line in rows if code in line.split(" | ", 1)[0]]
        assert [line.removeprefix("| ") for line in section.splitlines()[-len(wanted) :]] == wanted


class Site(HTMLParser):
    """The links and the places of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.places.add(values.get("id") or "")
        self.links += [values[name] or "" for name in ("href", "src") if values.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built; Sphinx fails at the first warning."""
    for module in ("sphinx", "myst_parser", "furo"):
        need(module)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_docs.py", folder],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_built_pages(site: Path) -> None:
    built = {path: Site(path) for path in site.rglob("*.html")}
    names = {path.relative_to(site).as_posix() for path in built}
    assert {f"rules/{code}.html" for code in RULES} <= names
    assert {f"situations/{path.stem}.html" for path in SITUATIONS} <= names
    foreign = set()
    for path, page in built.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                foreign.add(parts.netloc)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path, link)
            if parts.fragment and target in built:
                assert unquote(parts.fragment) in built[target].places, (path, link)
    assert not {name for name in foreign if "font" in name or "cdn" in name}
    start = Site(site / "index.html")
    assert {f"rules/{code}.html" for code in RULES} <= set(start.links), "the navigation has all"


@pytest.mark.slow
def test_what_is_filled_in(site: Path) -> None:
    hangs = html.unescape((site / "situations" / "hangs.html").read_text(encoding="utf-8"))
    assert "program.py:7:9: MPP412 " in hangs
    assert "<!--" not in hangs.partition("<h1>")[2].partition("</article>")[0]
    rule = html.unescape((site / "rules" / "MPP201.html").read_text(encoding="utf-8"))
    assert "Can't get local object" in rule
    assert "situations/no-error.html" in rule
    assert 'id="options"' in (site / "use.html").read_text(encoding="utf-8")
