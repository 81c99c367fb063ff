"""Progress on the terminal."""

from __future__ import annotations

import io

import pytest

from pytest_cpuaccel.plugin.progress import Progress


def test_what_is_soon_over_is_not_shown() -> None:
    terminal = io.StringIO()
    with Progress(terminal).busy("building"):
        pass
    assert terminal.getvalue() == ""


def test_what_is_shown_stands_behind_the_cursor_and_is_wiped_in_the_end() -> None:
    terminal = io.StringIO()
    progress = Progress(terminal)
    with progress.busy("timing"):
        progress.show("12 pairs")
    assert terminal.getvalue() == "\x1b7 [12 pairs]\x1b8\x1b[K"


def test_the_latest_text_takes_the_place_of_the_one_before() -> None:
    terminal = io.StringIO()
    progress = Progress(terminal)
    progress.show("12 pairs")
    progress.show("24 pairs")
    assert terminal.getvalue().endswith("\x1b8\x1b[K\x1b7 [24 pairs]")


def test_without_a_terminal_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(None)
    with progress.busy("building"):
        progress.show("half")
    assert capfd.readouterr() == ("", "")
