"""Editors for real: what python-lsp-server says of a document, and what Vim with ALE lists.

Both are configured as the README says.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from language_server import LanguageServer
from linting import TRAP, messages
from readme import block
from tools import need, run

pytestmark = pytest.mark.slow

RIGHT = TRAP.replace("lambda row: row + 1", "abs")
#: Line and column from 0, and the text with its code.
[(LINE, COLUMN, TEXT)] = [(line - 1, column, text) for line, column, text in messages(TRAP)]
BIN = Path(sys.executable).parent


def test_python_lsp_server(tmp_path: Path) -> None:
    need("pylsp")
    folder = tmp_path / "project"
    folder.mkdir()
    document = folder / "trap.py"
    uri = document.as_uri()
    # Nothing is saved: the server has to tell flake8 what is in the editor.
    document.write_text("", encoding="utf-8")

    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    command = [sys.executable, "-m", "pylsp"]
    with LanguageServer(command, folder, {**os.environ, "PATH": path}) as server:
        settings = json.loads(block("pylsp"))
        server.notify("workspace/didChangeConfiguration", {"settings": settings})
        item = {"uri": uri, "languageId": "python", "version": 1, "text": TRAP}
        server.notify("textDocument/didOpen", {"textDocument": item})
        [diagnostic] = server.diagnostics(uri, bool)
        assert (diagnostic["source"], diagnostic["code"]) == ("flake8", TEXT.split()[0])
        assert diagnostic["message"] == TEXT
        assert diagnostic["range"]["start"] == {"line": LINE, "character": COLUMN}
        assert diagnostic["range"]["end"]["line"] == LINE

        server.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": 2},
                "contentChanges": [{"text": RIGHT}],
            },
        )
        assert server.diagnostics(uri, lambda found: not found) == []


VIMRC = """\
set nocompatible
set viminfo=
set noswapfile
filetype on
"""
#: Debian's package puts ALE where it has to be asked for. Vim's jobs go on while it sleeps.
SCRIPT = """\
function! s:Leave(result) abort
  call writefile([json_encode(a:result)], $FOUND)
  qall!
endfunction

silent! packadd ale
if exists(':ALELint') != 2
  call s:Leave({'missing': 'ALE'})
  finish
endif

let s:linted = 0
autocmd User ALELintPost let s:linted = 1

function! s:Lint() abort
  let s:linted = 0
  ALELint
  for s:turn in range(600)
    if s:linted
      return deepcopy(ale#engine#GetLoclist(bufnr('%')))
    endif
    sleep 100m
  endfor
  return ['the linting does not end']
endfunction

let s:before = s:Lint()
%substitute/lambda row: row + 1/abs/
let s:after = s:Lint()
call s:Leave({'before': s:before, 'after': s:after})
"""


def test_vim_with_ale(tmp_path: Path) -> None:
    vim = shutil.which("vim")
    if vim is None:
        pytest.skip("Vim is not installed")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "trap.py").write_text(TRAP, encoding="utf-8")
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").touch()
    (binaries / "flake8").symlink_to(BIN / "flake8")
    (tmp_path / "vimrc").write_text(VIMRC + block("vim"), encoding="utf-8")
    (tmp_path / "script.vim").write_text(SCRIPT, encoding="utf-8")

    command = [vim, "-N", "-u", tmp_path / "vimrc", "--not-a-term", "-S", tmp_path / "script.vim"]
    found = tmp_path / "found.json"
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "TERM": "dumb", "FOUND": str(found)}
    _, output = run([*command, "trap.py"], folder, environment, limit=180)
    assert found.exists(), output
    seen = json.loads(found.read_text(encoding="utf-8"))
    if "missing" in seen:
        pytest.skip("ALE is not installed")
    [item] = seen["before"]
    assert (item["linter_name"], item["code"]) == ("flake8", TEXT.split()[0])
    assert (item["lnum"], item["col"]) == (LINE + 1, COLUMN + 1)
    assert f"{item['code']} {item['text']}" == TEXT
    assert seen["after"] == []
