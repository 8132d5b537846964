"""Worlds: what a few expressions are, in this or that case.

``__name__`` in a spawned child, ``sys.platform`` on Windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

World: TypeAlias = Mapping[str, object]

PROGRAM: World = {"__name__": "__main__"}
"""The file is run as a script."""
CHILD: World = {
    "__name__": "__mp_main__",
    "multiprocessing.current_process().name": "SpawnProcess-1",
    "multiprocessing.process.current_process().name": "SpawnProcess-1",
    "multiprocessing.parent_process()": "the parent",
    "multiprocessing.get_start_method()": "spawn",
}
"""A spawned child imports the file: ``spawn._fixup_main_from_path`` names it ``__mp_main__``."""
NOT_FROZEN: World = {"sys.frozen": False, "sys._MEIPASS": "", "__compiled__": False}
"""The program is run by an interpreter, not frozen into an executable."""
FROZEN: World = {"sys.frozen": True, "sys._MEIPASS": "a folder", "__compiled__": True}
AT_RUN_TIME: World = {"typing.TYPE_CHECKING": False, "TYPE_CHECKING": False}
PLATFORMS: dict[str, World] = {
    "win32": {"sys.platform": "win32", "os.name": "nt", "platform.system()": "Windows"},
    "linux": {"sys.platform": "linux", "os.name": "posix", "platform.system()": "Linux"},
    "darwin": {"sys.platform": "darwin", "os.name": "posix", "platform.system()": "Darwin"},
}
WINDOWS = PLATFORMS["win32"]


def parameter_key(name: str) -> str:
    """The key under which a world says what a parameter of the function in question is."""
    return f"parameter {name}"
