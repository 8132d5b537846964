"""The flake8 face: options in, findings out.

flake8 loads this module at every start, and makes a `Plugin` for every file. So nothing here
imports LibCST, or anything that does, until a file turns out to use processes.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from flake8_mppitfalls import project, settings
from flake8_mppitfalls.prefilter import uses_processes

if TYPE_CHECKING:
    import argparse

    from flake8.options.manager import OptionManager

    from flake8_mppitfalls.analysis import Report

#: Set it to have errors of the plugin itself raised, and not reported as MPP001.
DEBUG_VARIABLE = "MPPITFALLS_DEBUG"


class Plugin:
    """What flake8 makes for each file, and asks for reports."""

    settings: ClassVar[settings.Settings] = settings.Settings()

    def __init__(self, tree: ast.Module, lines: Sequence[str], filename: str) -> None:
        self._tree = tree
        self._lines = lines
        self._filename = filename

    @staticmethod
    def add_options(manager: OptionManager) -> None:
        """Tell flake8 about the options."""
        every_method = ",".join(settings.START_METHODS)
        manager.add_option(
            "--mpp-start-methods",
            type=settings.parse_start_methods,
            default=every_method,
            metavar="METHODS",
            parse_from_config=True,
            # flake8 would show the default as it is after parsing.
            help="Comma-separated list of the start methods of multiprocessing that the code must"
            f" survive. (Default: {every_method})",
        )
        manager.add_option(
            "--mpp-frozen",
            type=settings.parse_frozen,
            default="auto",
            metavar="{" + ",".join(settings.FROZEN) + "}",
            parse_from_config=True,
            help="Whether the program is frozen into an executable: yes, no, or auto to look for"
            " evidence in the file and its project. (Default: %(default)s)",
        )
        manager.add_option(
            "--mpp-max-workers",
            type=settings.parse_max_workers,
            default=str(settings.MAX_WORKERS),
            metavar="N",
            parse_from_config=True,
            help="The highest worker count that is fine; Windows takes no more than 61."
            " (Default: %(default)s)",
        )
        manager.add_option(
            "--mpp-opt-in",
            type=settings.parse_opt_in,
            default="",
            metavar="CODES",
            parse_from_config=True,
            help="Comma-separated list of the rules, or parts of rules, to switch on that are off"
            f" by default: all, or some of {', '.join(settings.OPT_IN_CODES)}.",
        )

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Keep what the user has set, for all files."""
        cls.settings = settings.Settings(
            start_methods=options.mpp_start_methods,
            frozen=options.mpp_frozen,
            max_workers=options.mpp_max_workers,
            opt_in=options.mpp_opt_in,
        )

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Yield line, column (from 0), text and plugin of each report."""
        for line, column, text in self._reports():
            yield line, column, text, type(self)

    def _reports(self) -> list[Report]:
        text = "".join(self._lines)
        uses = uses_processes(text, self._tree)
        if not uses and not project.may_be_frozen_entry(
            text, self._tree, self._filename, self.settings.frozen
        ):
            return []
        from flake8_mppitfalls import analysis

        try:
            return analysis.run(self._tree, self._lines, self._filename, self.settings)
        except RecursionError:
            reason = "the code is nested too deeply"
        except MemoryError:
            reason = "there is not enough memory"
        except analysis.Unparsable as error:
            reason = str(error)
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            reason = f"internal error ({type(error).__name__}: {error}), please report it"
        return [analysis.incomplete(reason)] if uses else []
