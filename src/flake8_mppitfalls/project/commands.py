"""Command lines that freeze a script, in shell scripts, CI files, Makefiles and the like.

`scripts_in_text` and `scripts_in_words` answer with `Named`s: what the command calls the script,
and the folder that the line itself changes to before. Whose file that is, is for `frozen` to say.
A command counts where its words, from the first to the last, are those of a command: prose,
`echo` and `pip install` are none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from flake8_mppitfalls.project.literals import UNKNOWN
from flake8_mppitfalls.project.reading import word_set

#: A line without any of these words freezes nothing.
_TOOLS = ("pyinstaller", "pyi-makespec", "nuitka", "cxfreeze", "cx_freeze", "py2applet")


class Named(NamedTuple):
    """A script, a `.spec` file or (for Nuitka) a folder as a command line names it."""

    path: str
    folder: str = ""
    """Where the command line goes first (`cd folder && …`), if it does."""


_TOOL = re.compile(
    r"(?:.*[/\\])?(pyinstaller|pyi-makespec|nuitka3?|nuitka-run|cxfreeze|cx_freeze|py2applet)"
    r"(?:\.exe|\.cmd|\.bat|\.py)?$",
    re.IGNORECASE,
)
#: What follows their first script is the program's own.
_ONE_SCRIPT = ("nuitka", "cx", "py2applet")

#: Options whose value, in a word of its own, may look like a script and is none.
_VALUE_OPTIONS = word_set(
    "-n --name -p --paths --add-data --add-binary --hidden-import --hiddenimport"
    " --exclude-module --runtime-hook --additional-hooks-dir --splash --icon -i --version-file"
    " --resource -r --key --distpath --workpath --specpath --user-plugin --include-module"
    " --include-data-files --include-plugin-files --output-filename --output-dir --target-name"
    " --target-dir --init-script --include-files --includes --excludes --base-name --manifest"
)
_SCRIPT_OPTIONS = ("--script", "--main")
_NO_PROGRAM = re.compile(r"--module$|--mode=(?:module|package)$|--(?:help|version)$|-h$")

#: Words that may stand before the tool: they run it, or begin a line of a recipe.
_WRAPPERS = word_set(
    "sudo exec call start time timeout nohup env nice travis_wait xvfb-run wine wine64 winpty"
    " msys2 arch uv uvx poetry pipenv pdm hatch rye pixi pipx conda mamba micromamba sh bash zsh"
    " bat cmd cmd.exe powershell pwsh RUN CMD /c /C /wait then do else if ! { - >- > |"
)
_RUNNERS = frozenset({"run", "exec", "tool"})  # of `poetry run`: never the first word
_PYTHON = re.compile(r"(?:.*[/\\])?(?:python|pypy|py)[\d.]*(?:\.exe)?$", re.IGNORECASE)
_LABEL = re.compile(r"[\w.\-/ ]+:$")
_PROSE_LABELS = frozenset(
    {"name:", "displayname:", "description:", "desc:", "title:", "summary:", "help:"}
)
#: Their value is a package or an environment, even if it is called like a tool.
_PACKAGE_OPTIONS = word_set(
    "--with --from --group --extra --only-group --package --spec -n --name -e --env -p --prefix"
)

_CHANGE_FOLDER = frozenset({"cd", "chdir", "pushd", "Set-Location"})
_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+|["']""")
_SEPARATORS = frozenset({"&&", "||", ";", "|", "&", ";;"})
_COMMENT_LINE = re.compile(r"^[ \t]*(?:#|;|::|//|@?rem\b).*$", re.MULTILINE | re.IGNORECASE)
_BLOCK_COMMENTS = {".ps1": ("<#", "#>"), "Jenkinsfile": ("/*", "*/")}
_BEFORE_STEP = re.compile(r"^.*?\b(?=(?:sh|bat|powershell|pwsh)\b)", re.MULTILINE)
_ONLY_INDENTED = ("makefile", ".mk", "justfile")  # their other lines name targets
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\n")
_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:(?:export|set|ENV|ARG|local|readonly|-|\$env:)[ \t]*)?["$]?([A-Za-z_]\w*)"""
    r"""[ \t]*(?:::?=|\?=|=|:)[ \t]*(\S.*)$"""
)
_REFERENCE = re.compile(
    r"\$\{\{[ ]*(?:[\w-]+\.)*([\w-]+)[ ]*\}\}|\{\{[ ]*\.?(\w+)(?:\(\))?[ ]*\}\}"
    r"|\$[({](?:env:)?([\w.]+)[)}]|\$(?:env:)?(\w+)|%(\w+)%"
)
#: These are the project's root or the folder of the file: both are tried for every path anyway.
_BASES = word_set(
    "pwd cd curdir workspace github_workspace ci_project_dir build_sourcesdirectory"
    " justfile_directory build.sourcesdirectory appveyor_build_folder travis_build_dir"
    " psscriptroot root_dir user_working_dir taskfile_dir toxinidir"
)
_OWN_FOLDER = re.compile(
    r"\$\([ ]*(?:cd[ ]+)?[\"']?dirname[^()]*\)|%~dp0\\?|\$\(pwd\)|\{toxinidir\}"
    r"|\$\{\{[ ]*github\.workspace[ ]*\}\}"
)
_CHANGED_TO_OWN_FOLDER = re.compile(r"\$\([ ]*cd[ ]+[\"']?\./[^()]*\)")
_FOLDER = re.compile(
    r"""(?:^|[\s&;"'])(?:cd|pushd|Set-Location)[ ]+(?:/d[ ]+)?("[^"\n]*"|'[^'\n]*'|[^\s&;|"']+)"""
    r"""|(?:working-directory|workingDirectory|dir)[ ]*:[ ]*["']?([^\s"'#]+)"""
)
_MAX_LINE = 4000
_MAX_SUBSTITUTED = 500_000


def scripts_in_text(text: str, name: str) -> tuple[set[Named], set[str]]:
    """What the commands in the text of a file called `name` freeze; and the folders they go to."""
    lines = _logical_lines(text, name)
    found = {named for line in lines for named in _scripts_in_line(line)}
    folders = {
        (match[1] or match[2]).strip("\"'") for line in lines for match in _FOLDER.finditer(line)
    }
    return found, folders


def scripts_in_command(command: str) -> set[Named]:
    """What a command that stands alone (a string of a Python or TOML file) freezes."""
    lines = _CONTINUED.sub(" ", command).splitlines()
    return {named for line in lines for named in _scripts_in_line(_simplified(line[:_MAX_LINE]))}


def _logical_lines(text: str, name: str) -> list[str]:
    for ending, (opening, closing) in _BLOCK_COMMENTS.items():
        if name.endswith(ending):
            text = _without_blocks(text, opening, closing)
    if name == "Jenkinsfile":
        text = re.sub(r"[()]", " ", text)
        text = _BEFORE_STEP.sub("", text)
    text = _simplified(_CONTINUED.sub(" ", _COMMENT_LINE.sub("", text)))
    lines = [line for line in text.splitlines() if len(line) <= _MAX_LINE]
    values = _assigned(lines)
    if name.endswith((".yml", ".yaml")):
        lines = list(_unfold(lines))
    elif name.endswith((".ini", ".cfg")):
        lines = [re.sub(r"^(\w+)=", r"\1 = ", line) for line in lines]
    elif name.lower().endswith(_ONLY_INDENTED):
        lines = [line for line in lines if line[:1] in ("\t", " ")]
    substituted: list[str] = []
    room = _MAX_SUBSTITUTED
    for line in lines:
        substituted.append(_substitute(line, values))
        room -= len(substituted[-1])
        if room < 0:
            break
    return substituted


def _simplified(text: str) -> str:
    text = text.replace('\\"', "")  # quotes within quotes
    return _CHANGED_TO_OWN_FOLDER.sub("./", _OWN_FOLDER.sub("./", text))


def _without_blocks(text: str, opening: str, closing: str) -> str:
    """The text without block comments. (A lazy regular expression is quadratic where none ends.)"""
    kept: list[str] = []
    end = 0
    while (start := text.find(opening, end)) >= 0:
        kept.append(text[end:start])
        found = text.find(closing, start + len(opening))
        end = len(text) if found < 0 else found + len(closing)
    return "".join([*kept, text[end:]])


def _unfold(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a YAML file, with each folded text (`key: >`) as one."""
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        header = line.rstrip(" +-")
        if header.endswith(">") and header[:-1].rstrip().endswith(":"):
            indent = len(line) - len(line.lstrip())
            block: list[str] = []
            while index < len(lines):
                inner = lines[index]
                if inner.strip() and len(inner) - len(inner.lstrip()) <= indent:
                    break
                block.append(inner.strip())
                index += 1
            line = " ".join(block)[:_MAX_LINE]
        yield line


def _assigned(lines: Iterable[str]) -> dict[str, str]:
    """The variables of a file that have one and the same value wherever they are set."""
    values: dict[str, set[str]] = {}
    for line in lines:
        if (match := _ASSIGNMENT.match(line)) and len(value := match[2]) < 200:
            name = match[1]
            values.setdefault(name, set()).add(value.partition(" #")[0].strip().strip("\"'"))
    single = {name: found.pop() for name, found in values.items() if len(found) == 1}
    for _ in range(2):  # variables in the values of variables
        single = {name: _substitute(value, single)[:200] for name, value in single.items()}
    return single


def _substitute(line: str, values: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        return values.get(name, "." if name.lower() in _BASES else match[0])

    if "$" not in line and "%" not in line and "{{" not in line:
        return line
    return _REFERENCE.sub(value, line)[:_MAX_LINE]


def _names_a_tool(line: str) -> bool:
    lower = line.lower()
    return any(word in lower for word in _TOOLS)


def _scripts_in_line(line: str) -> Iterator[Named]:
    if _names_a_tool(line):
        yield from _scripts_in_words(_WORD.findall(line), folder="")


def _scripts_in_words(words: Iterable[str], folder: str) -> Iterator[Named]:
    """Cut words at `&&`, `;` and the like, and look at each command."""
    command: list[str] = []
    code = itertools.takewhile(lambda word: not word.startswith("#"), words)
    for word in itertools.chain(code, ";"):
        if word not in _SEPARATORS:
            command.append(_bare(word.rstrip(";")))
            if not word.endswith(";"):
                continue
        if any(each.lstrip("@") in _CHANGE_FOLDER for each in command[:3]):
            folder = command[-1]
        else:
            yield from _scripts_in_one(command, folder)
        command = []


def _bare(word: str) -> str:
    word = word.strip("[](),`").replace('"', "").replace("'", "")
    return word if word.count("{") == word.count("}") else word.strip("{}")


def _scripts_in_one(words: Sequence[str], folder: str) -> Iterator[Named]:
    """What one command freezes, if each word before the tool may stand there."""
    if words and words[0].startswith(("@", "-")) and len(words[0]) > 1:  # in a recipe
        words = [words[0].lstrip("@-"), *words[1:]]
    for index, word in enumerate(words):
        if not _may_precede(words, index):
            return
        if " " in word and _names_a_tool(word):
            yield from _scripts_in_words(_WORD.findall(word), folder)
            return
        if (tool := _TOOL.match(word)) and (index == 0 or words[index - 1] not in _PACKAGE_OPTIONS):
            for path in _scripts_of(tool[1].lower(), words[index + 1 :]):
                yield Named(path, folder)
            return


def _may_precede(words: Sequence[str], index: int) -> bool:
    """Whether the word before `words[index]` is one that may stand before a command."""
    if index == 0 or words[0] in ("docker", "podman"):
        return True
    word, before = words[index - 1], words[index - 2] if index > 1 else ""
    if before == "-m" or word.lower() in _PROSE_LABELS:  # python -m pip install …
        return False
    return (
        not word
        or word in _WRAPPERS
        or word.rpartition("/")[2] in _WRAPPERS
        or (word in _RUNNERS and index > 1)
        or word.isdigit()
        or word.startswith(("-", "$"))
        or (before.startswith("-") and before != "-")
        or any(sign in word for sign in ("=", "%", "{", UNKNOWN))
        or words[index] in ("=", ":=")
        or _LABEL.match(word) is not None
        or _PYTHON.match(word) is not None
    )


def scripts_in_words(words: Sequence[str | None]) -> set[Named]:
    """What a command that is given as a list of words freezes; None: a word is not shown."""
    return set(_scripts_in_one([UNKNOWN if word is None else word for word in words], folder=""))


def arguments_to_pyinstaller(words: Sequence[str | None]) -> set[Named]:
    """What `PyInstaller.__main__.run(words)` freezes."""
    shown = [UNKNOWN if word is None else word for word in words]
    return {Named(path) for path in _scripts_of("pyinstaller", shown)}


def _scripts_of(tool: str, arguments: Sequence[str]) -> Iterator[str]:
    if tool.startswith("nuitka") and any(_NO_PROGRAM.match(word) for word in arguments):
        return
    before = ""
    for word in arguments:
        option, _, value = word.partition("=")
        if option in _SCRIPT_OPTIONS and value:
            word = value
        is_value = before in _VALUE_OPTIONS or word.startswith("-") or "=" in word
        before = word
        if is_value or UNKNOWN in word or "$" in word:
            continue
        is_script = word.lower().endswith((".py", ".pyw", ".spec"))
        if is_script or (tool.startswith("nuitka") and word):
            yield word
            if tool.startswith(_ONE_SCRIPT):
                return
