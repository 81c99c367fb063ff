"""Progress of slow work: when it is shown, and how on a terminal and in a log."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.plugin.display import LogDisplay, TerminalDisplay, display_for
from pytest_cpuaccel.plugin.progress import Progress


@dataclass
class Shown:
    """A display that keeps what it is given."""

    first_s: float = 30.0
    every_s: float = 60.0
    lines: list[tuple[str, str, float]] = field(default_factory=list)
    wiped: int = 0

    def show(self, test: str, text: str, seconds: float) -> None:
        self.lines.append((test, text, seconds))

    def wipe(self) -> None:
        self.wiped += 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Writer:
    """pytest's terminal writer, with some dots on the line."""

    def __init__(self, dots: int = 0, *, hasmarkup: bool = True) -> None:
        self.width_of_current_line, self.fullwidth, self.hasmarkup = dots, 40, hasmarkup
        self.written: list[str] = []

    def line(self) -> None:
        self.written.append("\n")
        self.width_of_current_line = 0

    def flush(self) -> None:
        pass


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def config_with(writer: Writer, *, verbose: bool = False) -> Any:
    reporter = SimpleNamespace(showlongtestinfo=verbose, currentfspath="test_a.py::test_it ")
    plugins = SimpleNamespace(get_plugin=lambda _: reporter, has_plugin=lambda name: name == "terminalreporter")
    return SimpleNamespace(get_terminal_writer=lambda: writer, pluginmanager=plugins)


def watched(display: Shown) -> tuple[Progress, Clock]:
    """Progress by a clock that stands still unless told; no thread looks at it."""
    clock = Clock()
    return Progress(display, test="test_a", clock=clock), clock


def test_what_is_soon_over_is_not_shown() -> None:
    display = Shown()
    progress, clock = watched(display)
    with progress.busy("building", math.inf):
        clock.now = 29.0
        progress.show("still building")
    assert display.lines == []


def test_long_work_is_shown_after_a_while_and_then_each_minute() -> None:
    display = Shown()
    progress, clock = watched(display)
    with progress.busy("waiting", math.inf):
        for clock.now in range(0, 200, 10):
            progress.show("waiting for pid 7")
    assert display.lines == [("test_a", "waiting for pid 7", seconds) for seconds in (30, 90, 150)]
    assert display.wiped == 1


def test_work_within_other_work_is_shown_with_its_own_time() -> None:
    display = Shown()
    progress, clock = watched(display)
    with progress.busy("building", math.inf):
        clock.now = 25.0
        with progress.busy("exporting", math.inf):
            clock.now = 35.0
            progress.show("exporting")
        assert display.wiped == 0
        clock.now = 95.0
        progress.show("loading")
    assert [line[1:] for line in display.lines] == [("exporting", 10.0), ("loading", 95.0)]


def test_the_next_work_has_its_own_time() -> None:
    display = Shown()
    progress, clock = watched(display)
    for _ in range(3):
        with progress.busy("building", math.inf):
            clock.now += 20.0
    with progress.busy("building", math.inf):
        progress.show("building")
    assert display.lines == []


def test_work_that_tells_nothing_is_shown_too() -> None:
    """A thread looks after it."""
    display = Shown(first_s=0.01, every_s=0.01)
    progress = Progress(display)
    with progress.busy("building"):
        while len(display.lines) < 3:
            sleep(0.001)
    assert {text for _, text, _ in display.lines} == {"building"}


def test_a_failure_ends_the_work() -> None:
    display = Shown(first_s=0.0)
    progress, _ = watched(display)
    with pytest.raises(ZeroDivisionError), progress.busy("building", math.inf):
        raise ZeroDivisionError
    progress.show("no longer")
    assert [text for _, text, _ in display.lines] == ["building"]


def test_without_a_display_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(None)
    with progress.busy("building"):
        progress.show("half")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_one_line_behind_the_cursor_and_wipes_it() -> None:
    output = io.StringIO()
    display = TerminalDisplay(config_with(Writer(3)), output)
    display.show("test_a", "building Net for ort", 2.0)
    display.show("test_a", "building Net for ort", 3.0)
    display.wipe()
    display.wipe()
    first, second = (f"\x1b[K\x1b7 [building Net for ort, {seconds} s]\x1b8" for seconds in (2, 3))
    assert output.getvalue() == f"{first}{second}\x1b[K"


@pytest.mark.parametrize(("dots", "shown"), [(0, " [building a model of a very long na...\x1b8"), (36, "")])
def test_a_line_on_the_terminal_is_cut_where_it_would_wrap(dots: int, shown: str) -> None:
    output = io.StringIO()
    TerminalDisplay(config_with(Writer(dots)), output).show("test_a", "building a model of a very long name", 2.0)
    assert output.getvalue().partition("\x1b7")[2] == shown
    assert len(shown.removesuffix("\x1b8")) < 40


@pytest.mark.parametrize(("dots", "start"), [(0, ""), (3, "\n")])
def test_a_log_gets_whole_lines(dots: int, start: str) -> None:
    output = io.StringIO()
    display = LogDisplay(config_with(Writer(dots)), output)
    display.show("test_a.py::test_it[ort]", "building Net for ort", 30.0)
    display.show("test_a.py::test_it[ort]", "building Net for ort", 90.0)
    display.wipe()
    assert output.getvalue() == (
        f"{start}cpuaccel: test_a.py::test_it[ort]: building Net for ort, 30 s so far\n"
        "cpuaccel: test_a.py::test_it[ort]: building Net for ort, 1 min 30 s so far\n"
    )


def test_after_a_line_in_the_log_pytest_begins_a_line_of_its_own() -> None:
    writer = Writer(3)
    display = LogDisplay(config_with(writer), io.StringIO())
    display.make_way()
    assert writer.written == []
    display.show("test_a", "building", 30.0)
    display.make_way()
    display.make_way()
    assert writer.written == ["\n"]


def test_after_a_line_in_the_log_a_verbose_pytest_names_the_test_again() -> None:
    config = config_with(Writer(3), verbose=True)
    display = LogDisplay(config, io.StringIO())
    display.show("test_a", "building", 30.0)
    display.make_way()
    assert config.pluginmanager.get_plugin("terminalreporter").currentfspath is None


def test_nobody_who_reads_the_output_is_no_matter() -> None:
    output = io.StringIO()
    output.close()
    LogDisplay(config_with(Writer()), output).show("test_a", "building", 30.0)


@pytest.mark.parametrize(
    ("output", "hasmarkup", "kind"),
    [
        (Terminal(), True, TerminalDisplay),
        (Terminal(), False, LogDisplay),
        (io.StringIO(), True, LogDisplay),
        (io.StringIO(), False, LogDisplay),
        (None, True, type(None)),
    ],
    ids=["terminal", "terminal without colours", "log with colours", "log", "nothing"],
)
def test_only_a_terminal_that_knows_markup_has_its_line_replaced(output: Any, hasmarkup: bool, kind: type) -> None:
    assert type(display_for(config_with(Writer(hasmarkup=hasmarkup)), output)) is kind


def test_a_line_of_a_log_stands_behind_what_pytest_holds_back(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as file, os.fdopen(os.dup(file.fileno()), "w") as output:
        writer = SimpleNamespace(width_of_current_line=0, flush=file.flush)
        config: Any = SimpleNamespace(get_terminal_writer=lambda: writer)
        file.write("collected 3 items\n")
        LogDisplay(config, output).show("test_it.py::test_it", "building", 1.0)
    assert path.read_text().splitlines() == ["collected 3 items", "cpuaccel: test_it.py::test_it: building, 1 s so far"]
