"""What other files tell about a file: small projects on disk, each with one kind of evidence."""

from __future__ import annotations

import ast
import builtins
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from flake8_mppitfalls import project
from flake8_mppitfalls.project import frozen, imports, reading, root, scripts, toml

Write = Callable[..., Path]

ENTRY = """\
from work import run

if __name__ == "__main__":
    run()
"""
WORK = """\
from multiprocessing import Pool

def run():
    with Pool(2) as pool:
        print(pool.map(abs, range(3)))
"""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for module in (frozen, imports, root, scripts):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below the folder of the test, which becomes a project; returns the folder."""

    def write(files: dict[str, str], marker: str = ".git/HEAD") -> Path:
        for name, text in {marker: "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return tmp_path

    return write


def is_frozen(folder: Path, name: str) -> bool:
    return project.frozen_by_project(str(folder / name))


# --- the root ------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["pyproject.toml", "setup.py", "setup.cfg", ".git"])
def test_the_root_is_the_nearest_folder_with_a_marker(tmp_path: Path, marker: str) -> None:
    inner = tmp_path / "tool"
    (inner / "src" / "tool").mkdir(parents=True)
    (tmp_path / "setup.cfg").touch()
    (inner / marker).touch()
    assert project.find_root(str(inner / "src" / "tool" / "app.py")) == inner
    assert project.find_root(str(inner / "app.py")) == inner
    assert project.find_root(str(tmp_path / "app.py")) == tmp_path


@pytest.mark.parametrize("name", ["-", "stdin", ""])
def test_standard_input_has_no_project(name: str) -> None:
    tree = ast.parse("import os")
    assert project.find_root(name) is None
    assert not project.frozen_by_project(name)
    assert project.console_scripts(name) == frozenset()
    assert project.called_from_main_module(name) == frozenset()
    assert not project.first_party_starts_processes(name, tree)


def test_a_relative_name_is_seen_from_the_working_directory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write({"build.sh": "pyinstaller src/app.py", "src/app.py": ENTRY})
    monkeypatch.chdir(folder)
    assert project.find_root("./src/app.py") == folder
    assert project.frozen_by_project("./src/app.py")
    monkeypatch.chdir(folder / "src")
    assert project.frozen_by_project("app.py")


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert project.find_root("app.py") is None
    assert not project.may_be_frozen_entry(ENTRY, ast.parse(ENTRY), "app.py", "auto")


# --- frozen: .spec files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("app.spec", "a = Analysis(['app.py'], pathex=[])"),
        ("app.spec", "a = Analysis(scripts=[\n  # the program\n  'app.py',\n])"),
        ("app.spec", "MAIN = 'app.py'\na = Analysis([MAIN])"),
        ("app.spec", "import os\na = Analysis([os.path.join(SPECPATH, 'app.py')])"),
        ("app.spec", "from pathlib import Path\na = Analysis([str(Path(SPECPATH) / 'app.py')])"),
        ("app.spec", "a = Analysis(['app.py']\nthis is no Python"),
        ("app.spec", "b = Analysis(['other.py'])\na = Analysis(['app.py'] + b.more)"),
        ("packaging/app.spec", "a = Analysis(['../app.py'])"),
        ("packaging/app.spec", "a = Analysis([r'..\\app.py'])"),
        ("packaging/windows/app.spec", "a = Analysis(['../../app.py'])"),
        ("packaging/app.spec", "a = Analysis(['app.py'])"),
    ],
)
def test_a_spec_file_that_names_the_script(write: Write, place: str, text: str) -> None:
    folder = write({"app.py": ENTRY, "other.py": ENTRY, place: text})
    assert is_frozen(folder, "app.py")
    assert not is_frozen(folder, "work.py")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("app.spec", "# a = Analysis(['app.py'])"),
        ("app.spec", "# a = Analysis(['app.py'])\nthis is no Python"),
        ("app.spec", "a = Analysis(['cli.py'], datas=[('app.py', '.')])"),
        ("app.spec", "Name: app\n%build\npython3 app.py"),
        ("docs/examples/deep/app.spec", "a = Analysis(['../../../app.py'])"),
        # The path is relative to the folder of the .spec file, where such a file is.
        ("packaging/app.spec", "a = Analysis(['work.py'])"),
    ],
)
def test_a_spec_file_that_does_not(write: Write, place: str, text: str) -> None:
    folder = write({"app.py": ENTRY, "work.py": WORK, "packaging/work.py": WORK, place: text})
    assert not is_frozen(folder, "app.py")
    assert not is_frozen(folder, "work.py")


def test_a_spec_file_beside_the_script_or_above_it(write: Write) -> None:
    folder = write(
        {
            "desktop/gui/app.py": ENTRY,
            "desktop/gui/app.spec": "Analysis(['app.py'])",
            "desktop/all.spec": "Analysis(['gui/tool.py'])",
        }
    )
    assert is_frozen(folder, "desktop/gui/app.py")
    assert is_frozen(folder, "desktop/gui/tool.py")


def test_a_command_that_names_a_spec_file(write: Write) -> None:
    folder = write(
        {
            "app/main.py": ENTRY,
            "app/etc/main.spec": "Analysis(['../main.py'])",
            "Makefile": "exe:\n\tpyinstaller --noconfirm app/etc/main.spec\n",
        }
    )
    assert is_frozen(folder, "app/main.py")
    assert not is_frozen(folder, "app/etc/main.py")


# --- frozen: commands ----------------------------------------------------------------------------

WORKFLOW = """\
name: Release
jobs:
  windows:
    env:
      SCRIPT: src/app.py
    steps:
      - uses: actions/checkout@v4
      - name: Freeze
        run: {command}
"""

COMMANDS = {
    "a workflow": (
        ".github/workflows/release.yml",
        WORKFLOW.format(command="pyinstaller src/app.py"),
    ),
    "a workflow's block": (
        ".github/workflows/release.yaml",
        WORKFLOW.format(command="|\n          pip install .\n          pyinstaller -F src/app.py"),
    ),
    "a workflow's folded text": (
        ".github/workflows/release.yml",
        WORKFLOW.format(
            command=">-\n          pyinstaller\n          --onefile\n          src/app.py\n"
        ),
    ),
    "a workflow's variable": (
        ".github/workflows/release.yml",
        WORKFLOW.format(command="pyinstaller ${{ env.SCRIPT }}"),
    ),
    "a workflow's folder": (
        ".github/workflows/release.yml",
        WORKFLOW.format(command="pyinstaller app.py\n        working-directory: src"),
    ),
    "an action": (
        ".github/workflows/release.yml",
        "- uses: Nuitka/Nuitka-Action@main\n  with:\n    script-name: src/app.py\n",
    ),
    "gitlab": (".gitlab-ci.yml", "exe:\n  script:\n    - python -m PyInstaller src/app.py\n"),
    "azure": ("azure-pipelines.yml", "steps:\n- script: nuitka --onefile src/app.py\n"),
    "appveyor": ("appveyor.yml", "build_script:\n  - cmd: pyinstaller src\\app.py\n"),
    "travis": (".travis.yml", 'script: "pyinstaller --windowed src/app.py"\n'),
    "circle": (".circleci/config.yml", "- run:\n    command: cxfreeze src/app.py --target-dir d\n"),
    "jenkins": ("Jenkinsfile", "steps { sh 'pip install . && pyinstaller src/app.py' }"),
    "jenkins, a call": ("Jenkinsfile", 'steps { bat(script: "pyinstaller src\\\\app.py") }'),
    "make": ("Makefile", "SCRIPT = src/app.py\nexe: clean\n\t@python3 -m nuitka $(SCRIPT)\n"),
    "make, the tool": ("Makefile", "PYI ?= python -m PyInstaller\nexe:\n\t-$(PYI) -F src/app.py\n"),
    "just": ("justfile", 'script := "src/app.py"\nexe:\n    pyinstaller {{script}}\n'),
    "task": ("Taskfile.yml", "tasks:\n  exe:\n    cmds:\n      - uv run pyinstaller src/app.py\n"),
    "tox": ("tox.ini", "[testenv:exe]\ndeps = pyinstaller\ncommands = pyinstaller src/app.py\n"),
    "tox, no spaces": ("tox.ini", "[testenv:exe]\ncommands=pyinstaller {toxinidir}/src/app.py\n"),
    "invoke": ("tasks.py", "def exe(c):\n    c.run('pyinstaller --onefile src/app.py')\n"),
    "nox": ("noxfile.py", "def exe(session):\n    session.run('pyinstaller', 'src/app.py')\n"),
    "subprocess": (
        "build.py",
        "import subprocess, sys\n"
        "cmd = [sys.executable, '-m', 'PyInstaller', '--name', 'x'] + ['src/app.py']\n"
        "subprocess.run(cmd, check=True)\n",
    ),
    "PyInstaller's function": (
        "build.py",
        "import PyInstaller.__main__ as pyi\npyi.run(['--onefile', 'src/app.py'])\n",
    ),
    "PyInstaller's function, later": (
        "scripts/freeze.py",
        "def main():\n    from PyInstaller.__main__ import run\n    run([SCRIPT, '-w'])\n"
        "SCRIPT = 'src/app.py'\n",
    ),
    "sh, continued": (
        "build.sh",
        "#!/bin/sh\npyinstaller --onefile \\\n  --add-data 'a;b' \\\n  \"src/app.py\"\n",
    ),
    "sh, a folder": ("scripts/build.sh", "cd src && pyinstaller app.py; ls dist\n"),
    "sh, the folder before": ("scripts/build.sh", "set -e\ncd src\npyinstaller app.py\n"),
    "sh, its own folder": (
        "scripts/build.sh",
        'here="$(cd "$(dirname "$0")" && pwd)"\npyinstaller "$here/../src/app.py"\n',
    ),
    "sh, from its own folder": ("packaging/build.sh", "pyinstaller ../src/app.py\n"),
    "sh, a subshell": ("build.sh", "(cd src && pyinstaller app.py)\n"),
    "sh, a condition": ("ci/build.sh", 'if [ -n "$X" ]; then wine pyinstaller src/app.py; fi\n'),
    "bat": ("build.bat", "@echo off\r\nset SCRIPT=src\\app.py\r\npyinstaller -w %SCRIPT%\r\n"),
    "bat, continued": ("tools/build.cmd", "call pyinstaller ^\r\n  %~dp0..\\src\\app.py\r\n"),
    "powershell": (
        "build.ps1",
        '$script = "src\\app.py"\n& .venv\\Scripts\\pyinstaller.exe --onefile `\n  $script\n',
    ),
    "docker": ("Dockerfile", "FROM python\nRUN pyinstaller src/app.py\n"),
    "docker, a list": ("Dockerfile", 'FROM python\nCMD ["pyinstaller", "-F", "src/app.py"]\n'),
    "npm": ("package.json", '{"scripts": {"exe": "pyinstaller --name \\"x y\\" src/app.py"}}'),
    "poe": ("pyproject.toml", '[tool.poe.tasks]\nexe = "pyinstaller src/app.py"\n'),
    "pdm": ("pyproject.toml", '[tool.pdm.scripts]\nexe = {cmd = ["pyinstaller", "src/app.py"]}\n'),
    "hatch": (
        "pyproject.toml",
        '[tool.hatch.envs.exe.scripts]\nall = [\n  "pip list",\n  "nuitka src/app.py",\n]\n',
    ),
    "hatch's plugin": (
        "pyproject.toml",
        '[tool.hatch.build.targets.pyinstaller]\nscriptname = "src/app.py"\n',
    ),
    "poetry's plugin": (
        "pyproject.toml",
        '[tool.poetry-pyinstaller-plugin.scripts]\napp = { source = "src/app.py" }\n',
    ),
    "py2applet": ("build.sh", "py2applet --make-setup src/app.py icon.icns\n"),
    "nuitka's option": ("build.sh", "python -m nuitka --mode=onefile --main=src/app.py\n"),
    "cx_Freeze's option": ("build.sh", "cxfreeze build --script src/app.py --target-name app\n"),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_that_freezes_the_script(write: Write, kind: str) -> None:
    place, text = COMMANDS[kind]
    folder = write({"src/app.py": ENTRY, "src/work.py": WORK, place: text})
    assert is_frozen(folder, "src/app.py")
    assert not is_frozen(folder, "src/work.py")
    assert not is_frozen(folder, "app.py")


NO_COMMANDS = {
    "a requirement": ("requirements.txt", "pyinstaller\napp.py\n"),
    "an extra": (
        "pyproject.toml",
        '[project.optional-dependencies]\nexe = ["pyinstaller", "app.py"]',
    ),
    "a group": ("pyproject.toml", '[dependency-groups]\nexe = ["pyinstaller", "app.py"]'),
    "poetry's group": ("pyproject.toml", '[tool.poetry.dependencies]\npyinstaller = "app.py"'),
    "setup.cfg's": ("setup.cfg", "[options]\ninstall_requires =\n    pyinstaller\n    app.py\n"),
    "setup.py's": ("setup.py", "setup(name='app', extras_require={'exe': ['pyinstaller']})"),
    "a project's description": ("pyproject.toml", '[project]\ndescription = "pyinstaller app.py"'),
    "tox's": ("tox.ini", "[testenv]\ndeps = pyinstaller\ncommands = python app.py\n"),
    "a comment": ("build.sh", "# pyinstaller app.py\n"),
    "a comment behind": ("Makefile", "exe:\n\tmake all  # pyinstaller app.py\n"),
    "a comment in a workflow": (".github/workflows/a.yml", "    #- run: pyinstaller app.py\n"),
    "a comment of tox": ("tox.ini", "[testenv]\n; pyinstaller app.py\ncommands = ls\n"),
    "a comment of bat": ("build.bat", "REM pyinstaller app.py\r\n:: pyinstaller app.py\r\n"),
    "a block comment": ("build.ps1", "<#\npyinstaller app.py\n#>\nls\n"),
    "a block comment without end": ("Jenkinsfile", "/* \n sh 'pyinstaller app.py'\n"),
    "a comment in Python": ("tasks.py", "# c.run('pyinstaller app.py')\n"),
    "a docstring": ("tasks.py", '"""\npyinstaller app.py\n"""\n'),
    "a message": ("tasks.py", "print('pyinstaller app.py')\n"),
    "echo": ("build.sh", 'echo "pyinstaller app.py"\n'),
    "echo in make": ("Makefile", "help:\n\t@echo pyinstaller app.py\n"),
    "prose": ("tasks.py", "HELP = 'Freezes with pyinstaller app.py'\n"),
    "a name": (".github/workflows/a.yml", "- name: pyinstaller app.py\n  run: ls\n"),
    "a name, too": (".github/workflows/a.yml", "- name: Use pyinstaller app.py\n"),
    "a dependency of make": ("Makefile", "pyinstaller: app.py\nexe: pyinstaller app.py\n\tls\n"),
    "an installation": ("build.sh", "python -m pip install pyinstaller && python app.py\n"),
    "an installation only": ("build.sh", "pip install pyinstaller; python app.py\n"),
    "run with it": ("build.sh", "uv run --with pyinstaller app.py\n"),
    "an environment": ("build.sh", "conda run -n pyinstaller python app.py\n"),
    "another script": ("build.sh", "pyinstaller cli.py\npython app.py\n"),
    "another folder's script": ("build.sh", "pyinstaller tools/app.py\n"),
    "data": ("build.sh", "pyinstaller --runtime-hook app.py --add-data app.py:. cli.py\n"),
    "an argument of the program": ("build.sh", "nuitka --run cli.py app.py\n"),
    "a module": ("build.sh", "nuitka --module app.py\n"),
    "a longer name": ("build.sh", "pyinstaller my_app.py app.pyc\n"),
    "the tool's folder": ("build.sh", "cd pyinstaller && python app.py\n"),
    "a variable that is not known": ("build.sh", "pyinstaller $FOLDER/app.py\n"),
    "a variable with two values": ("build.sh", "S=app.py\nS=cli.py\npyinstaller $S\n"),
    "prose in a document": ("README.md", "    pyinstaller app.py\n"),
    "a file of another name": ("notes.txt", "pyinstaller app.py\n"),
    "a folder that is none of the usual": ("examples/build.sh", "pyinstaller ../app.py\n"),
    "broken TOML": ("pyproject.toml", '[tool.poe.tasks]\nexe = "pyinstaller app.py\n'),
    "broken Python": ("tasks.py", "c.run('pyinstaller app.py'\n"),
    "an action's other input": (
        ".github/workflows/a.yml",
        "- uses: x/y\n  with:\n    spec: app.py",
    ),
}


@pytest.mark.parametrize("kind", NO_COMMANDS)
def test_no_command_that_freezes_the_script(write: Write, kind: str) -> None:
    place, text = NO_COMMANDS[kind]
    folder = write({"app.py": ENTRY, "cli.py": ENTRY, "tools/app.py": ENTRY, place: text})
    assert not is_frozen(folder, "app.py")


def test_a_name_that_fits_two_files_is_no_evidence(write: Write) -> None:
    folder = write({"app.py": ENTRY, "scripts/app.py": ENTRY, "scripts/b.sh": "pyinstaller app.py"})
    assert not is_frozen(folder, "app.py")
    assert not is_frozen(folder, "scripts/app.py")


def test_a_line_that_changes_the_folder_decides(write: Write) -> None:
    folder = write({"app.py": "", "gui/app.py": "", "b.sh": "cd gui && pyinstaller app.py"})
    assert is_frozen(folder, "gui/app.py")
    assert not is_frozen(folder, "app.py")


def test_a_build_script_beside_the_script(write: Write) -> None:
    folder = write({"desktop/app.py": ENTRY, "desktop/build.bat": "pyinstaller app.py"})
    assert is_frozen(folder, "desktop/app.py")


def test_powershell_in_utf_16(write: Write) -> None:
    folder = write({"app.py": ENTRY})
    (folder / "build.ps1").write_text("pyinstaller app.py", encoding="utf-16")
    assert is_frozen(folder, "app.py")


def test_nuitka_takes_a_package(write: Write) -> None:
    folder = write({"tool/__main__.py": ENTRY, "b.sh": "python -m nuitka --standalone tool"})
    assert is_frozen(folder, "tool/__main__.py")


# --- frozen: configuration -----------------------------------------------------------------------

SETUPS = {
    "cx_Freeze": "from cx_Freeze import *\nsetup(executables=[Executable('app.py')])",
    "cx_Freeze, a keyword": (
        "import cx_Freeze as cx\ncx.setup(executables=[cx.Executable(script='app.py')])"
    ),
    "cx_Freeze, a variable": (
        "from cx_Freeze import Executable, setup\nfrom pathlib import Path\n"
        "HERE = Path(__file__).resolve().parent\nEXE = [Executable(HERE / 'app.py', base=None)]\n"
        "setup(executables=EXE)"
    ),
    "py2exe": "import py2exe\nsetup(console=['app.py'])",
    "py2exe, windows": "import py2exe\nsetup(windows=[{'script': 'app.py', 'icon': 'a.ico'}])",
    "py2exe, freeze": "import py2exe\npy2exe.freeze(console=[dict(script='app.py')])",
    "py2app": "APP = ['app.py']\nsetup(app=APP, setup_requires=['py2app'])",
    "py2app, a dictionary": "more = dict(setup_requires=['py2app'], app=['app.py'])\nsetup(**more)",
    "py2app, a display": "more = {'setup_requires': ['py2app'], 'app': ['app.py']}\nsetup(**more)",
}


@pytest.mark.parametrize("kind", SETUPS)
def test_a_setup_that_freezes_the_script(write: Write, kind: str) -> None:
    folder = write({"app.py": ENTRY, "work.py": WORK, "setup.py": SETUPS[kind]})
    assert is_frozen(folder, "app.py")
    assert not is_frozen(folder, "work.py")


@pytest.mark.parametrize(
    "text",
    [
        "setup(console=['app.py'], app=['app.py'])",
        "import py2exe\nsetup(scripts=['app.py'], py_modules=['app'])",
        "# cx_Freeze\nsetup(scripts=['app.py'])",
        "import py2exe\nsetup(console=[f'{name}.py', 'app.pyc', None, 3])",
        "import py2app\nAPP = APP + APP\nsetup(app=[*APP])",
    ],
)
def test_a_setup_that_does_not(write: Write, text: str) -> None:
    folder = write({"app.py": ENTRY, "setup.py": text})
    assert not is_frozen(folder, "app.py")


TABLES = {
    "cx_Freeze": '[tool.cxfreeze]\nexecutables = ["app.py"]',
    "cx_Freeze, inline tables": '[tool.cxfreeze]\nexecutables = [\n  {script = "app.py"},\n]',
    "cx_Freeze, tables": '[[tool.cxfreeze.executables]]\nscript = "app.py"\nbase = "gui"',
    "briefcase": '[tool.briefcase.app.hello-world]\nsources = ["src/hello_world", "src/more"]',
    "briefcase, one source": '[tool.briefcase.app.hello]\nsources = ["src/hello_world"]',
}


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_freezes_the_script(
    write: Write, monkeypatch: pytest.MonkeyPatch, kind: str, simple: bool
) -> None:
    if simple:  # as Python 3.10 reads it
        monkeypatch.setattr("flake8_mppitfalls.project.freezers.parse_toml", toml._simple_toml)
    text = '[project]\nname = "x"\n' + TABLES[kind]
    folder = write({"app.py": ENTRY, "src/hello_world/__main__.py": ENTRY, "pyproject.toml": text})
    app = "src/hello_world/__main__.py" if "briefcase" in kind else "app.py"
    assert is_frozen(folder, app)
    assert not is_frozen(folder, "src/more/__main__.py")
    assert not is_frozen(folder, "src/hello_world/app.py")


@pytest.mark.parametrize(
    "text",
    [
        '[tool.cxfreeze.build_exe]\ninclude_files = ["app.py"]',
        '[tool.pyinstaller]\nhidden-imports = ["app.py"]\nruntime-hooks = ["app.py"]',
        '[tool.ruff]\nscript = "app.py"\n# pyinstaller',
        '[tool.briefcase.app.x]\nsources = "app.py"',
    ],
)
def test_a_table_that_does_not(write: Write, text: str) -> None:
    folder = write({"app.py": ENTRY, "pyproject.toml": text})
    assert not is_frozen(folder, "app.py")


def test_the_reader_for_python_310_agrees_with_tomllib() -> None:
    tomllib = pytest.importorskip("tomllib")
    text = dedent(
        """\
        title = "a [b] = # c"  # a comment
        [project]
        name = 'x'
        dependencies = [
            "a>=1",  # why
            'b',
        ]
        scripts.one = "pkg.mod:main"
        [project.gui-scripts]
        "two-three" = "pkg:gui"
        [tool.poetry.scripts]
        four = { reference = "pkg.four:main", type = "console", on = true }
        [[tool.cxfreeze.executables]]
        script = "a.py"
        [[tool.cxfreeze.executables]]
        script = "b.py"
        """
    )
    assert toml._simple_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text", ["[a\nb", "a = [", "= 1", "[a]\nb = 1979-05-27", "[[a]]\n[a.b]\n[[a]]"]
)
def test_the_reader_for_python_310_survives(text: str) -> None:
    assert isinstance(toml._simple_toml(text), dict)


# --- frozen: the file itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nif sys.frozen: pass",
        "import sys\nbase = sys._MEIPASS",
        "import sys\nif getattr(sys, 'frozen', False): pass",
        "import sys\nif hasattr(sys, '_MEIPASS'): pass",
        "import sys as s\nif getattr(s, 'frozen', None): pass",
        "import os, sys as system\nbase = system._MEIPASS",
        "from sys import frozen",
        "def base():\n    from sys import _MEIPASS as base\n    return base",
        "import sys\nok = 'frozen' in vars(sys)",
        "import sys\nok = 'frozen' not in sys.__dict__",
        "import sys\nok = sys.__dict__.get('frozen')",
        "if '__compiled__' in globals(): pass",
        "ok = globals().get('__compiled__')",
        "try:\n    __compiled__\nexcept NameError:\n    pass",
    ],
)
def test_code_that_asks_if_it_is_frozen(text: str) -> None:
    assert project.frozen_in_file(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nprint(sys.argv, 'frozen')",
        "class A: frozen = True\nprint(A.frozen, getattr(A, 'frozen'))",
        "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass A: pass",
        "frozen = '_MEIPASS'",
        "import sys\nsys.frozen = True",
        "import settings as sys\nif sys.frozen: pass",
        "from settings import frozen",
        "if 'frozen' in options: pass",
        "__compiled__ = 1",
    ],
)
def test_code_that_does_not_ask(text: str) -> None:
    assert not project.frozen_in_file(ast.parse(text))


# --- console scripts -----------------------------------------------------------------------------

SCRIPTS = {
    "pyproject": ("pyproject.toml", '[project.scripts]\nx = "pkg.cli:main"'),
    "pyproject, gui": ("pyproject.toml", '[project.gui-scripts]\nx = "pkg.cli:main [extra]"'),
    "poetry": ("pyproject.toml", '[tool.poetry.scripts]\nx = "pkg.cli:main"'),
    "poetry, long": ("pyproject.toml", '[tool.poetry.scripts]\nx = {reference = "pkg.cli:main"}'),
    "flit": ("pyproject.toml", '[tool.flit.scripts]\nx = "pkg.cli:main"'),
    "setup.cfg": (
        "setup.cfg",
        "[options.entry_points]\nconsole_scripts =\n    # o = pkg.cli:old\n    x = pkg.cli :main\n",
    ),
    "setup.py": (
        "setup.py",
        "setup(entry_points={'console_scripts': ['x = pkg.cli:main', 'y=pkg.other:run']})",
    ),
    "setup.py, a variable": (
        "setup.py",
        "NAME = 'x'\nEP = {'gui_scripts': [f'{NAME} = pkg.cli:main']}\nsetup(entry_points=EP)",
    ),
    "setup.py, a call": (
        "setup.py",
        "setup(entry_points=dict(console_scripts='x = pkg.cli:main'))",
    ),
    "setup.py, a text": (
        "setup.py",
        "setup(entry_points='''\n[console_scripts]\nx = pkg.cli:main\n[o]\ny = pkg.cli:no\n''')",
    ),
}


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("source", ["src/", "", "backend/"])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_console_scripts(
    write: Write, monkeypatch: pytest.MonkeyPatch, kind: str, source: str, simple: bool
) -> None:
    if simple:
        monkeypatch.setattr(scripts, "parse_toml", toml._simple_toml)
    place, text = SCRIPTS[kind]
    folder = write({f"{source}pkg/__init__.py": "", f"{source}pkg/cli.py": "", place: text})
    assert project.console_scripts(str(folder / source / "pkg/cli.py")) == {"main"}
    assert project.console_scripts(str(folder / source / "pkg/more.py")) == frozenset()
    assert project.console_scripts(str(folder / source / "pkg/pkg/cli.py")) == frozenset()
    assert project.console_scripts(str(folder / "tests/cases/pkg/cli.py")) == frozenset()


def test_console_scripts_of_packages_and_classes(write: Write) -> None:
    text = '[project.scripts]\na = "pkg:run"\nb = "pkg.app:App.main"\nc = "pkg.app:go"\nd = "no"\n'
    folder = write({"pkg/__init__.py": "", "pkg/app.py": "", "pyproject.toml": text})
    assert project.console_scripts(str(folder / "pkg/__init__.py")) == {"run"}
    assert project.console_scripts(str(folder / "pkg/app.py")) == {"App.main", "go"}


def test_a_nearer_package_is_the_console_script(write: Write) -> None:
    text = '[project.scripts]\na = "pkg.cli:run"\n'
    folder = write({"pkg/cli.py": "", "backend/pkg/cli.py": "", "pyproject.toml": text})
    assert project.console_scripts(str(folder / "pkg/cli.py")) == {"run"}
    assert project.console_scripts(str(folder / "backend/pkg/cli.py")) == frozenset()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("pyproject.toml", "[project.scripts\n"),
        ("pyproject.toml", "project = 3\ntool = ['x']\n"),
        ("setup.cfg", "no section\nconsole_scripts = x\n"),
        ("setup.cfg", "[options.entry_points]\nother = x = pkg.cli:main\n"),
        ("setup.py", "setup(entry_points={'console_scripts': [make()]}"),
        ("setup.py", "setup(entry_points={'other': ['x = pkg.cli:main'], **console_scripts})"),
    ],
)
def test_no_console_scripts(write: Write, place: str, text: str) -> None:
    folder = write({"pkg/cli.py": "", place: text})
    assert project.console_scripts(str(folder / "pkg/cli.py")) == frozenset()


# --- what __main__.py calls ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from .cli import main\nmain()", {"main"}),
        ("from .cli import main as run, other\nimport sys\nsys.exit(run())", {"main"}),
        (
            "from pkg.cli import main\nif __name__ == '__main__':\n    raise SystemExit(main())",
            {"main"},
        ),
        ("from . import cli\ncli.main()", {"main"}),
        ("from pkg import cli as c\nc.main()\nc.more()", {"main", "more"}),
        ("import pkg.cli\npkg.cli.main()", {"main"}),
        ("import pkg.cli as c\nc.main()", {"main"}),
        ("import cli\ncli.main()", {"main"}),
        ("import asyncio\nfrom .cli import main\nasyncio.run(main())", {"main"}),
        ("from .cli import main", set()),
        ("from .other import main\nmain()", set()),
        ("from ..cli import main\nmain()", set()),
        ("from . import cli\ncli.App.main()", set()),
        ("main()", set()),
        ("from .cli import main\nmain(", set()),
    ],
)
def test_called_from_main_module(write: Write, text: str, names: set[str]) -> None:
    folder = write({"src/pkg/__init__.py": "", "src/pkg/__main__.py": text})
    assert project.called_from_main_module(str(folder / "src/pkg/cli.py")) == names


def test_called_from_main_module_of_other_places(write: Write) -> None:
    folder = write(
        {
            "pkg/__init__.py": "",
            "pkg/__main__.py": "from . import boot\nfrom .sub.app import go\nboot()\ngo()",
            "pkg/sub/__init__.py": "",
            "zipped/__main__.py": "from tool import main\nmain()",
        }
    )
    called = project.called_from_main_module
    assert called(str(folder / "pkg/__init__.py")) == {"boot"}
    assert called(str(folder / "pkg/sub/app.py")) == {"go"}
    assert called(str(folder / "pkg/app.py")) == frozenset()
    assert called(str(folder / "zipped/tool.py")) == {"main"}
    assert called(str(folder / "pkg/__main__.py")) == frozenset()
    assert called(str(folder / "elsewhere/cli.py")) == frozenset()


# --- first-party modules that start processes ----------------------------------------------------


def starts(folder: Path, name: str, text: str) -> bool:
    return project.first_party_starts_processes(str(folder / name), ast.parse(dedent(text)))


STARTING = [
    "from multiprocessing import Pool\ndef run(): Pool()",
    "from multiprocessing import Pool as P\ndef run():\n    with P(2) as pool: pass",
    "import multiprocessing\ndef run(): multiprocessing.Process(target=print).start()",
    "import multiprocessing as mp\ndef run(): return mp.Manager()",
    "import multiprocessing.pool\ndef run(): return multiprocessing.pool.Pool(3)",
    "from multiprocessing.managers import SyncManager\ndef run(): SyncManager().start()",
    "from multiprocessing import *\ndef run(): Pool()",
    "import concurrent.futures\ndef run(): concurrent.futures.ProcessPoolExecutor()",
    "from concurrent import futures as f\ndef run(): f.ProcessPoolExecutor()",
    "from concurrent.futures import ProcessPoolExecutor as X\ndef run(): X()",
    "def run():\n    from multiprocessing import get_context\n    get_context('spawn').Pool()",
    "import multiprocessing as mp\nctx = mp.get_context()\ndef run(): ctx.Process(target=run)",
    "import multiprocessing as mp\nclass A:\n    def __init__(self):\n"
    "        self.ctx = mp.get_context(method='spawn')\n        self.pool = self.ctx.Pool(2)",
    "from torch.multiprocessing import spawn\ndef run(): spawn(run)",
    "import torch.multiprocessing as mp\ndef run(): mp.start_processes(run)",
    "from billiard import Pool\ndef run(): Pool()",
    "try:\n    from multiprocess import Pool\nexcept ImportError:\n"
    "    from multiprocessing import Pool\ndef run(): Pool()",
    "from multiprocessing import Process\nclass W(Process): pass\ndef run(): W().start()",
    "from multiprocessing import Process\nclass W(Process): pass\nclass X(W): pass\ndef run(): X()",
    "import multiprocessing as mp\nctx = mp.get_context('spawn')\nclass W(ctx.Process): pass\nW()",
    "import multiprocessing as mp, sys\nif sys.platform == 'linux':\n"
    "    mp.set_start_method('fork')\nmp.Pool()",
    "import multiprocessing as mp\nif __name__ == '__main__':\n    pass\nelse:\n    mp.Pool()",
]


@pytest.mark.parametrize("text", STARTING)
def test_a_first_party_module_that_starts_processes(write: Write, text: str) -> None:
    folder = write({"work.py": text})
    assert starts(folder, "app.py", "import work")


SILENT = [
    "def run(): print('from multiprocessing import Pool; Pool()')",
    "from multiprocessing import cpu_count, Pool\ndef run(pool: Pool): return cpu_count()",
    "from multiprocessing.dummy import Pool\ndef run(): Pool()",
    "import multiprocessing.dummy as mp\ndef run(): mp.Pool(), mp.Process()",
    "from multiprocessing.pool import ThreadPool\ndef run(): ThreadPool()",
    "from concurrent.futures import ThreadPoolExecutor\ndef run(): ThreadPoolExecutor()  # Pool",
    "import multiprocessing\nfrom psutil import Process\ndef run(): Process()",
    "import multiprocessing\nclass Pool: pass\ndef run(): Pool()",
    "import multiprocessing as mp\ndef run(): mp.get_context('fork').Pool()",
    "import multiprocessing as mp\nctx = mp.get_context('fork')\ndef run(): ctx.Pool()",
    "import multiprocessing as mp\nmp = mp.get_context('fork')\ndef run(): mp.Pool()",
    "import multiprocessing as mp\nmp.set_start_method('fork')\ndef run(): mp.Pool()",
    "from multiprocessing.context import ForkProcess\ndef run(): ForkProcess(target=print)",
    "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
    "def run(): ProcessPoolExecutor(mp_context=mp.get_context('fork'))",
    "from multiprocessing import Process\nclass W(Process): pass\ndef run(): pass",
    "from multiprocessing.managers import BaseManager\ndef run(): BaseManager().connect()",
    "import multiprocessing\nif __name__ == '__main__':\n    multiprocessing.Pool()",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pool_user import run",
    "from multiprocessing import Pool\ndef run(): Pool(",
    "from multiprocessing import Pool\ndef run(): Pool()\n\0",
]


@pytest.mark.parametrize("text", SILENT)
def test_a_first_party_module_that_does_not(write: Write, text: str) -> None:
    folder = write({"work.py": text, "pool_user.py": WORK})
    assert not starts(folder, "app.py", "import work")


def test_a_spawning_example_of_each_list_is_told_apart() -> None:
    """The two lists above would prove nothing if one answer fitted both."""
    judged = [imports._Judge(ast.parse(text)).facts(()).starts for text in STARTING[:3]]
    assert judged == [True, True, True]


IMPORTS = [
    ("app.py", "import work", True),
    ("app.py", "from work import run", True),
    ("app.py", "def main():\n    from work import run\n    run()", True),
    ("app.py", "try:\n    import work\nexcept ImportError:\n    work = None", True),
    ("app.py", "if __name__ == '__main__':\n    import work", True),
    ("app.py", "import typing\nif typing.TYPE_CHECKING:\n    import work", False),
    ("app.py", "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import work", True),
    (
        "app.py",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING: pass\nelse: import work",
        False,
    ),
    ("app.py", "import pkg.deep.work", True),
    ("app.py", "from pkg.deep import work", True),
    ("app.py", "from pkg.deep import *", False),
    ("app.py", "from pkg import deep", False),
    ("app.py", "from pkg import nothing", False),
    ("app.py", "import starting", True),
    ("app.py", "import inner", True),
    ("app.py", "import json, numpy, multiprocessing.dummy", False),
    ("app.py", "import plain", False),
    ("app.py", "import queue", True),
    ("scripts/app.py", "import queue", False),
    ("scripts/app.py", "import work", True),
    ("scripts/app.py", "import beside", True),
    ("scripts/app.py", "import inner", True),
    ("pkg/app.py", "from .deep import work", True),
    ("pkg/app.py", "from .deep.work import run", True),
    ("pkg/app.py", "from . import plain", False),
    ("pkg/deep/app.py", "from . import work", True),
    ("pkg/deep/app.py", "from ..deep.work import run", True),
    ("pkg/deep/app.py", "from ..beside import run", False),
    ("pkg/deep/app.py", "from .......................... import work", False),
    ("tests/one/app.py", "from one.helper import run", True),
]


@pytest.mark.parametrize(("name", "text", "expected"), IMPORTS)
def test_first_party_modules_are_found(write: Write, name: str, text: str, expected: bool) -> None:
    folder = write(
        {
            "work.py": WORK,
            "plain.py": "import os",
            "queue.py": WORK,
            "scripts/beside.py": WORK,
            "src/inner.py": WORK,
            "pkg/__init__.py": "",
            "pkg/plain.py": "",
            "pkg/deep/__init__.py": "",
            "pkg/deep/work.py": WORK,
            "starting/__init__.py": WORK,
            "tests/one/__init__.py": "",
            "tests/one/helper.py": WORK,
            "numpy/data.txt": "",
        }
    )
    assert starts(folder, name, text) is expected


def test_installed_packages_are_no_project(write: Write) -> None:
    pool = {"site-packages/pool/__init__.py": WORK, "site-packages/tool/__init__.py": ""}
    folder = write({**pool, "site-packages/tool/work.py": WORK})
    assert not starts(folder, "site-packages/tool/app.py", "import pool")
    assert starts(folder, "site-packages/tool/app.py", "from .work import run")


def test_a_class_of_another_module_is_instantiated(write: Write) -> None:
    folder = write(
        {
            "worker.py": "from multiprocessing import Process\nclass Worker(Process): pass",
            "derived.py": "from worker import Worker\nclass Special(Worker): pass",
            "farm.py": "import worker\ndef run(): return worker.Worker()",
            "guarded.py": "import worker\nif __name__ == '__main__':\n    worker.Worker()",
        }
    )
    assert starts(folder, "app.py", "from worker import Worker\nWorker().start()")
    assert starts(folder, "app.py", "from derived import Special\nSpecial().start()")
    assert starts(folder, "app.py", "import farm")
    assert not starts(folder, "app.py", "from worker import Worker\nprint(Worker)")
    assert not starts(folder, "app.py", "import guarded")


def chain(length: int) -> dict[str, str]:
    files = {f"m{index}.py": f"import m{index + 1}" for index in range(length)}
    return {**files, f"m{length}.py": WORK}


def test_the_depth_is_bounded(write: Write) -> None:
    folder = write(chain(imports.MAX_DEPTH - 1))
    assert starts(folder, "app.py", "import m0")
    assert starts(folder, "app.py", "import m1")
    forget()
    folder = write(chain(imports.MAX_DEPTH))
    assert not starts(folder, "app.py", "import m0")
    assert starts(folder, "app.py", "import m1")


def test_the_number_of_modules_is_bounded(write: Write, count_reads: list[str]) -> None:
    many = imports.MAX_MODULES + 50
    folder = write({f"m{index}.py": "import os" for index in range(many)} | {"last.py": WORK})
    text = "".join(f"import m{index}\n" for index in range(many)) + "import last\n"
    assert not starts(folder, "app.py", text)
    assert 0 < len(count_reads) <= imports.MAX_MODULES


def test_circles_of_imports_end(write: Write) -> None:
    folder = write({"a.py": "import b", "b.py": "import a, app", "app.py": "import a"})
    assert not starts(folder, "app.py", "import a")


# --- the prefilter's exception -------------------------------------------------------------------


def may_be(folder: Path, text: str, option: str, name: str = "app.py") -> bool:
    return project.may_be_frozen_entry(text, ast.parse(text), str(folder / name), option)


def test_may_be_frozen_entry(write: Write, count_reads: list[str]) -> None:
    asking = "import sys\nBASE = getattr(sys, 'frozen', False)\n" + ENTRY
    folder = write({"work.py": WORK, "plain.py": ""})
    assert not may_be(folder, ENTRY, "no")
    assert not may_be(folder, asking, "no")
    assert not may_be(folder, "from work import run\nrun()", "yes")
    assert not may_be(folder, "from work import run\nprint('__main__')", "yes")
    assert count_reads == []
    assert may_be(folder, ENTRY, "yes")
    assert not may_be(folder, ENTRY, "auto")
    assert may_be(folder, asking, "auto")
    assert not may_be(folder, asking.replace("work", "plain"), "auto")
    assert not may_be(folder, asking.replace("work", "json"), "yes")


def test_may_be_frozen_entry_by_the_project(write: Write) -> None:
    folder = write({"work.py": WORK, "app.py": ENTRY, "app.spec": "Analysis(['app.py'])"})
    assert may_be(folder, ENTRY, "auto")
    assert not may_be(folder, ENTRY, "auto", name="cli.py")
    assert not may_be(folder, ENTRY, "no")


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('if __name__ == "__main__": run()', True),
        ('if "__main__" == __name__: run()', True),
        ('if __name__ == "__main__" and run: run()', True),
        ('if __name__ in ("__main__",): run()', True),
        ('match __name__:\n    case "__main__": run()', True),
        ('try:\n    if __name__ == "__main__": run()\nfinally: pass', True),
        ('if __name__ in ("__main__", "__mp_main__"): run()', False),
        ('if __name__ != "__main__": run()', False),
        ('if name == "__main__": run()', False),
        ('if __name__ == "__main__" or run: run()', False),
        ('def f():\n    if __name__ == "__main__": run()', False),
    ],
)
def test_what_a_guard_is(write: Write, test: str, expected: bool) -> None:
    folder = write({"work.py": WORK})
    assert may_be(folder, "from work import run\n" + test, "yes") is expected


# --- nothing raises ------------------------------------------------------------------------------


def ask_everything(path: Path | str, text: str = ENTRY) -> None:
    name, tree = str(path), ast.parse(text)
    project.find_root(name)
    project.frozen_by_project(name)
    project.console_scripts(name)
    project.called_from_main_module(name)
    project.first_party_starts_processes(name, tree)
    for option in ("auto", "yes", "no"):
        project.may_be_frozen_entry(text, tree, name, option)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
def test_loops_of_symbolic_links(write: Write) -> None:
    folder = write({"pkg/__init__.py": "from .loop import x", "app.py": ENTRY})
    (folder / "pkg" / "loop").symlink_to(folder / "pkg", target_is_directory=True)
    (folder / "scripts").symlink_to(folder, target_is_directory=True)
    (folder / "packaging").symlink_to("packaging")
    for name in ("pyproject.toml", "setup.py", "setup.cfg", "Makefile", "app.spec", "work.py"):
        (folder / name).symlink_to(name)
    ask_everything(folder / "app.py", "import pkg.loop.loop.loop\n" + ENTRY)
    ask_everything(folder / "pkg" / "loop" / "loop" / "app.py")
    ask_everything(folder / "packaging" / "app.py")
    # A marker that is a loop of links marks nothing.
    assert project.find_root(str(folder / "app.py")) == folder
    (folder / ".git" / "HEAD").unlink()
    (folder / ".git").rmdir()
    forget()
    assert project.find_root(str(folder / "app.py")) != folder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_folders_in_place_of_files(write: Write) -> None:
    folder = write({"app.py": ENTRY})
    for name in ("pyproject.toml", "Makefile", "work.py"):
        os.mkfifo(folder / name)
    for name in ("setup.py", "setup.cfg", "app.spec", "build.sh", "__main__.py"):
        (folder / name).mkdir()
    ask_everything(folder / "app.py")
    assert not is_frozen(folder, "app.py")


def test_a_folder_and_files_that_cannot_be_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write({"app.py": ENTRY, "work.py": WORK, "app.spec": "Analysis(['app.py'])"})

    def refuse(*args: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:  # root, who may run the tests, can read everything
        patch.setattr(os, "scandir", refuse)
        ask_everything(folder / "app.py")
        assert not is_frozen(folder, "app.py")
    forget()
    assert is_frozen(folder, "app.py")
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", refuse)
        ask_everything(folder / "app.py")
        assert not is_frozen(folder, "app.py")
        assert not starts(folder, "app.py", ENTRY)


def test_files_that_vanish(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write({"app.py": ENTRY, "work.py": WORK, "app.spec": "Analysis(['app.py'])"})
    real_stat = os.stat

    def stat_and_remove(path: str, **more: object) -> os.stat_result:
        result = real_stat(path, **more)  # type: ignore[arg-type]
        if str(path).endswith(("app.spec", "work.py")):
            os.unlink(path)
        return result

    monkeypatch.setattr(reading.os, "stat", stat_and_remove)
    assert reading.read_text(str(folder / "app.spec")) == ""
    ask_everything(folder / "app.py")


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: no-such-encoding\nfrom multiprocessing import Pool\nPool()",
        b"\xff\xfe\xfa",
        b"\x00" * 100,
        b"(" * 100_000,
        b"a" + b".a" * 100_000,
        b"x = " + b"-" * 50_000 + b"1  # multiprocessing Pool\nimport y",
        b"from multiprocessing import Pool\nPool() " + b"+ 1 " * 50_000,
        b"pyinstaller " + b"\"'" * 20_000 + b" app.py",
        b"pyinstaller " + b"a = b " + b" " * 200_000 + b"c",
        b" " * 200_000 + b"x pyinstaller",
        b"pyinstaller\n" + b" " * 3_900 + b"\n" + b"a" * 100_000,
        b"pyinstaller $A $A\nA = $A$A$A$A\n" * 1000,
        b"pyinstaller /* <# {{ ${{ $( \\\n ^\n" * 5000,
        b"a = [" * 5000 + b"pyinstaller app.py",
        b"import py2exe\na = [*b, *b]\nb = [*a, *a]\nsetup(console=a + b)",
        b"import py2exe\n"
        + b"".join(b"a%d = [*a%d, *a%d, *a%d]\n" % (i, i + 1, i + 1, i + 1) for i in range(30))
        + b"setup(console=a0)",
        b"import py2exe\n"
        + b"".join(b"a%d = a%d + a%d\n" % (i, i + 1, i + 1) for i in range(60))
        + b"a60 = 'app.py'\nsetup(console=[a0])",
    ],
)
def test_odd_contents(write: Write, data: bytes) -> None:
    folder = write({"app.py": ENTRY, "pkg/cli.py": ""})
    for name in ("work.py", "setup.py", "setup.cfg", "pyproject.toml", "Makefile", "app.spec"):
        (folder / name).write_bytes(data)
    for name in ("Jenkinsfile", "tox.ini", "build.ps1", "tasks.py", "pkg/__main__.py"):
        (folder / name).write_bytes(data)
    start = time.process_time()
    ask_everything(folder / "app.py")
    ask_everything(folder / "pkg" / "cli.py")
    toml._simple_toml(data.decode("latin-1"))
    assert time.process_time() - start < 5


def test_huge_files_are_no_evidence(write: Write) -> None:
    filler = "#" * 99 + "\n"
    script = "pyinstaller app.py\n"
    folder = write({"app.py": ENTRY, "build.sh": script + filler * (reading.MAX_BYTES // 100 + 1)})
    assert not is_frozen(folder, "app.py")
    forget()
    write({"build.sh": script + filler * 100})
    assert is_frozen(folder, "app.py")
    write({"work.py": WORK + filler * (imports.MAX_BYTES // 100 + 1)})
    assert not starts(folder, "app.py", ENTRY)


@pytest.mark.parametrize("name", ["a\0b.py", "x" * 5000 + ".py", "\udcff.py", "/", "a/../../b.py"])
def test_odd_names(name: str) -> None:
    ask_everything(name)


# --- cost ----------------------------------------------------------------------------------------


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened and the folders that were listed."""
    read: list[str] = []

    def open_and_count(path: str, *args: object, **more: object) -> io.BufferedReader:
        read.append(str(path))
        return io.open(path, *args, **more)  # type: ignore[call-overload, no-any-return]  # noqa: UP020

    def list_and_count(path: str) -> object:
        read.append(str(path))
        return real_scandir(path)

    real_scandir = os.scandir
    monkeypatch.setattr(reading, "open", open_and_count, raising=False)
    monkeypatch.setattr(reading.os, "scandir", list_and_count)
    return read


def test_a_second_question_reads_nothing(write: Write, count_reads: list[str]) -> None:
    folder = write(
        {
            "src/app.py": ENTRY,
            "src/cli.py": ENTRY,
            "src/work.py": WORK,
            "src/__main__.py": "import cli\ncli.main()",
            "pyproject.toml": '[project.scripts]\nx = "cli:main"',
            "Makefile": "exe:\n\tpyinstaller src/app.py\n",
        }
    )
    for name in ("src/app.py", "src/cli.py"):
        ask_everything(folder / name)
    assert count_reads
    count_reads.clear()
    for name in ("src/app.py", "src/cli.py"):
        ask_everything(folder / name)
    assert may_be(folder, ENTRY, "auto", name="src/app.py")
    assert count_reads == []


def test_only_named_places_are_looked_at(write: Write, count_reads: list[str]) -> None:
    files = {f"pkg{group}/module{index}.py": ENTRY for group in range(20) for index in range(50)}
    files |= {"src/deep/er/app.spec": "", "docs/conf.py": "pyinstaller", "build/lib/pkg/x.py": ""}
    folder = write({**files, "Makefile": "test:\n\tpytest\n", "setup.cfg": ""})
    start = time.process_time()
    for group in range(20):
        for index in range(50):
            assert not is_frozen(folder, f"pkg{group}/module{index}.py")
    spent = time.process_time() - start
    looked_at = {os.path.relpath(path, folder) for path in count_reads}
    packages = {f"pkg{group}" for group in range(20)}
    assert looked_at == {".", "build", "build/lib", "Makefile", "setup.cfg", *packages}
    assert len(count_reads) <= len(looked_at) + 1
    assert spent < 0.5


def test_the_rooms_are_imported_when_they_are_asked() -> None:
    code = (
        "import sys, ast\nbefore = set(sys.modules)\n"
        "from flake8_mppitfalls import project\n"
        "project.may_be_frozen_entry('x = 1', ast.parse('x = 1'), 'app.py', 'auto')\n"
        "print(sorted(set(sys.modules) - before))"
    )
    source = str(Path(project.__file__).parents[2])
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "flake8_mppitfalls.project" in shown
    for module in ("project.frozen", "project.imports", "libcst", "tomllib", "configparser"):
        assert module not in shown
