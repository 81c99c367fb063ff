"""Where progress is shown: on the terminal, in a log, or by the controller of an xdist worker.

All of it goes past pytest's capture, to what was the standard output when pytest was configured.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, TextIO

import pytest

from pytest_cpuaccel.core.units import format_elapsed

_SAVE, _RESTORE, _WIPE_TO_END = "\x1b7", "\x1b8", "\x1b[K"
_SHORTEST = 8
"""Columns that a text on the terminal needs to say anything."""


class _MakesWay:
    """A pytest plugin that is asked to make way before pytest writes about a test."""

    def make_way(self) -> None:
        """Prepare for what pytest writes next."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self.make_way()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        self.make_way()


@dataclass(eq=False)
class TerminalDisplay(_MakesWay):
    """Shows one line behind the cursor, which stays where it is; the line is replaced, and wiped in the end."""

    config: pytest.Config
    output: TextIO
    first_s: float = 1.0
    every_s: float = 1.0
    _is_shown: bool = False

    def show(self, test: str, text: str, seconds: float) -> None:  # noqa: ARG002
        """Show the text; the terminal shows the test already."""
        writer = self.config.get_terminal_writer()
        room = writer.fullwidth - writer.width_of_current_line % writer.fullwidth - 1
        shown = f" [{text}, {format_elapsed(seconds)}]"
        if room >= _SHORTEST:
            _write_behind(self.config, self.output, f"{_WIPE_TO_END}{_SAVE}{_clipped(shown, room)}{_RESTORE}")
            self._is_shown = True

    def wipe(self) -> None:
        """Wipe the line."""
        if self._is_shown:
            _write(self.output, _WIPE_TO_END)
            self._is_shown = False

    def make_way(self) -> None:
        """Prepare for what pytest writes next."""
        self.wipe()


@dataclass(eq=False)
class LogDisplay(_MakesWay):
    """Adds whole lines to a log, none of them within pytest's own."""

    config: pytest.Config
    output: TextIO
    first_s: float = 30.0
    every_s: float = 60.0
    _has_broken_line: bool = False

    def show(self, test: str, text: str, seconds: float) -> None:
        """Add a line."""
        is_within = self.config.get_terminal_writer().width_of_current_line and not self._has_broken_line
        start, line = "\n" * bool(is_within), ": ".join(filter(None, ("cpuaccel", test, text)))
        _write_behind(self.config, self.output, f"{start}{line}, {format_elapsed(seconds)} so far\n")
        self._has_broken_line = True

    def wipe(self) -> None:
        """Leave all as it is: a line of a log stays."""

    def make_way(self) -> None:
        """Tell pytest that the cursor stands at the start of a line."""
        if not self._has_broken_line:
            return
        self._has_broken_line = False
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter.showlongtestinfo:
            reporter.currentfspath = None  # it writes the test's name again
        elif self.config.get_terminal_writer().width_of_current_line:
            self.config.get_terminal_writer().line()


def display_for(config: pytest.Config, output: TextIO | None) -> TerminalDisplay | LogDisplay | None:
    """Return the display for a process whose pytest writes to ``output``; None where pytest writes nothing."""
    if output is None or not config.pluginmanager.has_plugin("terminalreporter"):
        return None
    if _is_terminal(output) and config.get_terminal_writer().hasmarkup:
        return TerminalDisplay(config, output)
    return LogDisplay(config, output)


def _is_terminal(output: TextIO) -> bool:
    try:
        return output.isatty()
    except (AttributeError, ValueError):
        return False


def _clipped(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 3]}..."


def _write_behind(config: pytest.Config, output: TextIO, text: str) -> None:
    """Write behind what pytest wrote, which holds some of it back: under ``-s`` it has the standard output's buffer."""
    with contextlib.suppress(OSError, ValueError):
        config.get_terminal_writer().flush()
    _write(output, text)


def _write(output: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        output.write(text)
        output.flush()
