"""The lines of the table, in groups: the rows of one test, model and call stand below one heading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.environment import EnvironmentMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Kind
from pytest_cpuaccel.report.html.bar import Bar, bar_of
from pytest_cpuaccel.report.html.distribution import Distribution, distribution_of
from pytest_cpuaccel.report.html.scale import Scale, scale_for
from pytest_cpuaccel.report.html.signal import OF_OUTCOME, SIGNS, Colour, colour_of
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import short_names, table

ENVIRONMENT, SPEED, BASELINE = _BARS = ("vs environment", "vs eager", "vs baseline")
_APART = ("test", "model", "call", "backend", "verdict")
"""Columns that stand in the heading of a group, or are always in view."""
_BAR_WIDTH = 150.0


@dataclass(frozen=True)
class Cell:
    """``bar`` stands above the text, in the colour of the verdict that it is about; pairs beside it."""

    column: str
    text: str
    colour: Colour = "quiet"
    bar: Bar | None = None
    pairs: Distribution | None = None


@dataclass(frozen=True)
class Line:
    """A row. ``kinds`` says more about the word, "" where there is no more. ``anchor`` is the card that explains it."""

    row: Row
    colour: Colour
    kinds: str
    reason: str
    cells: tuple[Cell, ...]
    anchor: str

    @property
    def sign(self) -> str:
        """Return the sign that stands before the word."""
        return SIGNS[self.colour]


@dataclass(frozen=True)
class Group:
    """``test`` is "" where there is only one in the table; ``title`` is its id without the backend."""

    title: str
    test: str
    model: str
    call: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """``columns`` are those besides backend and verdict; ``scales`` holds the scale of each that has bars."""

    columns: tuple[str, ...]
    scales: Mapping[str, Scale]
    groups: tuple[Group, ...]
    has_pairs: bool


def table_of(rows: Sequence[Row], anchors: Mapping[int, str]) -> Table:
    """Return the table; ``anchors`` holds the card of a row by the row's ``id()``."""
    headings, filled = table(rows)
    columns = _ordered([name for name in headings if name not in _APART])
    speeds = {name: list(_known(rows, name)) for name in _BARS}
    scales = {name: scale_for(known, _BAR_WIDTH) for name, known in speeds.items() if known}
    lines = [
        _line(row, [_cell(row, name, dict(zip(headings, texts, strict=True)), scales) for name in columns], anchors)
        for row, texts in zip(rows, filled, strict=True)
    ]
    has_pairs = any(cell.pairs for line in lines for cell in line.cells)
    return Table(columns, scales, tuple(_groups(lines)), has_pairs)


def _ordered(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns with those that have bars in front."""
    return tuple(sorted(columns, key=lambda name: _BARS.index(name) if name in _BARS else len(_BARS)))


def _known(rows: Sequence[Row], column: str) -> Iterator[float]:
    """The speeds of a column. A wide interval would squeeze all bars; it is cut off instead."""
    for row in rows:
        speed = _speed(row, column)
        if speed is not None:
            yield speed.value


def _speed(row: Row, column: str) -> Estimate | None:
    """How many times as fast it was; None where that was not measured."""
    if column == SPEED:
        latency = row.measured(LatencyMeasurement)
        return None if latency is None or latency.race is None else latency.race.estimate.inverse
    if column == ENVIRONMENT:
        found = row.measured(EnvironmentMeasurement)
        estimate = None if found is None or found.race is None else found.race.estimate
        return None if estimate is None else estimate.inverse
    baseline = row.measured(BaselineMeasurement)
    if baseline is None:
        return None
    ratio = baseline.by_ratio.ratio if baseline.by_ratio else baseline.race.estimate if baseline.race else None
    return None if ratio is None else ratio.inverse


def _cell(row: Row, column: str, texts: Mapping[str, str], scales: Mapping[str, Scale]) -> Cell:
    speed = _speed(row, column) if column in scales else None
    if speed is None:
        return Cell(column, texts[column])
    if column == ENVIRONMENT:
        found = row.measured(EnvironmentMeasurement)
        assert found is not None
        bar = bar_of(speed, scales[column], 1 / found.limit)
        return Cell(column, f"{texts[column]}{_both(found)}", _colour(row, "environment"), bar)
    kind: Kind = "latency" if column == SPEED else "baseline"
    baseline = row.measured(BaselineMeasurement) if column == BASELINE else None
    allowed = 1 / baseline.limit if baseline else None
    latency = row.measured(LatencyMeasurement) if column == SPEED else None
    pairs = distribution_of(latency.race.pairs_ns) if latency and latency.race else None
    return Cell(column, texts[column], _colour(row, kind), bar_of(speed, scales[column], allowed), pairs)


def _both(found: EnvironmentMeasurement) -> str:
    """The medians of both sides."""
    race = found.race
    if race is None or race.p50_ns is None or race.reference_p50_ns is None:
        return ""
    return f", {format_duration(race.p50_ns)} against {format_duration(race.reference_p50_ns)}"


def _colour(row: Row, kind: Kind) -> Colour:
    return next((OF_OUTCOME[verdict.outcome] for verdict in row.result.verdicts if verdict.kind == kind), "quiet")


def _line(row: Row, cells: Sequence[Cell], anchors: Mapping[int, str]) -> Line:
    kinds = row.verdict.removeprefix(row.word).strip()
    reason = row.ending.reason.removeprefix(f"{row.result.backend}: ") if row.ending else ""
    return Line(row, colour_of(row), kinds, reason, tuple(cells), anchors.get(id(row), ""))


def _groups(lines: Sequence[Line]) -> Iterator[Group]:
    names = short_names(line.row for line in lines)
    for title, of_title in groupby(lines, lambda line: line.row.title):
        test = names[title] if len(names) > 1 else ""
        for (model, call), members in _by_call(list(of_title)).items():
            yield Group(title, test, model, call, tuple(members))


def _by_call(lines: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    """The lines of a test by model and call; those without a verdict stand below the only model and call, if it is."""
    calls = dict.fromkeys((line.row.result.model, line.row.result.call) for line in lines if not line.row.ending)
    models = list(dict.fromkeys(line.row.result.model for line in lines if line.row.result.model))
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        key = (line.row.result.model, line.row.result.call)
        if line.row.ending is not None and len(models) < 2:
            key = next(iter(calls)) if len(calls) == 1 else ((models or [""])[0], "")
        found.setdefault(key, []).append(line)
    return found
