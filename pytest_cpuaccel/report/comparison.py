"""What two runs found, side by side: a line for each test, model and call, with the ratio of their latencies."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tabulate import tabulate

from pytest_cpuaccel.core.census_diff import census_diff
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.saved import SavedReport

_NONE = "-"

_PLACE = 3
"""The number of columns that say where a line belongs: test, model and call."""

_INDENT = " " * 4

Key = tuple[str, str, str]
"""Test, model and call; the backend stands in the test's name."""


@dataclass(frozen=True)
class NamedReport:
    """A saved report, and what its user calls it."""

    name: str
    report: SavedReport


class Change(NamedTuple):
    """A call whose median latency is ``as_long`` times that of before."""

    key: Key
    as_long: float


class ReportComparison:
    """Two reports, set against each other.

    Times are compared on one kind of machine alone; ratios to another backend also on another CPU, as long as it has
    the same vector instructions and runs as many threads.
    """

    def __init__(self, before: NamedReport, after: NamedReport) -> None:
        self._before, self._after = before, after
        old, new = before.report, after.report
        self._compares_times = old.machine == new.machine
        self._compares_ratios = (old.isa, old.threads) == (new.isa, new.threads)

    def lines(self, width: float = math.inf) -> Iterator[str]:
        """Yield the comparison for a terminal of ``width`` columns."""
        before, after = self._before, self._after
        if not self._compares_times:
            text = f"{before.name} is of {before.report.machine}, {after.name} of {after.report.machine}"
            yield from _wrapped(f"{text}: times are not compared", width)
        yield from _other_versions(before.report, after.report)
        yield from self._table(width)
        for key, found in self._kernels():
            yield ""
            yield from _wrapped(f"kernels of {', '.join(filter(None, key))}:", width)
            for line in found:
                yield from _wrapped(line, width, _INDENT)

    def changes(self) -> list[Change]:
        """Return those of all latencies that both reports have; none where their times can't be compared."""
        if not self._compares_times:
            return []
        found = ((key, _over(_p50_ns(old), _p50_ns(new))) for key, (old, new) in self._pairs.items())
        return [Change(key, as_long) for key, as_long in found if as_long is not None]

    @cached_property
    def _pairs(self) -> dict[Key, tuple[Row | None, Row | None]]:
        """The rows that have a latency in one of the reports."""
        old, new = (_timed(named.report) for named in (self._before, self._after))
        return {key: (old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new))}

    def _table(self, width: float) -> Iterator[str]:
        cells = [[*key, *self._cells(*pair)] for key, pair in self._pairs.items()]
        if not cells:
            yield "Neither has a latency."
            return
        names = self._before.name, self._after.name
        whole = _text(_headings(*names), cells)
        if names[0] != names[1] and _fits(whole, width):
            yield from whole
            return
        for word, name in zip(("before", "after"), names, strict=True):
            yield f"{word}: {name}"
        headings = _headings("before", "after")
        whole = _text(headings, cells)
        yield from whole if _fits(whole, width) else _folded(headings, cells, width)

    def _cells(self, old: Row | None, new: Row | None) -> list[str]:
        as_long = _over(_p50_ns(old), _p50_ns(new)) if self._compares_times else None
        ratio = _ratio_of(old, new) if self._compares_ratios else None
        return [
            _p50(old),
            _p50(new),
            _NONE if as_long is None else f"{as_long:.2f}x",
            str(ratio or _NONE),
            f"{_verdict(old)} -> {_verdict(new)}",
        ]

    def _kernels(self) -> Iterator[tuple[Key, list[str]]]:
        """What differs between the kernels of calls that both reports have a census of."""
        old, new = (
            {_key(row): row.result.kernels for row in named.report.rows} for named in (self._before, self._after)
        )
        for key, before in old.items():
            after = new.get(key)
            if before is not None and after is not None:
                found = census_diff(before, after, with_times=self._compares_times)
                if found:
                    yield key, found


def _headings(before: str, after: str) -> list[str]:
    return ["test", "model", "call", f"p50 {before}", f"p50 {after}", "as long", "by ratio", "verdicts"]


def _text(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    text: str = tabulate(lines, headings, tablefmt="simple", disable_numparse=True)
    return text.splitlines()


def _fits(lines: Sequence[str], width: float) -> bool:
    return max(map(len, lines)) <= width


def _folded(headings: Sequence[str], lines: Sequence[Sequence[str]], width: float) -> Iterator[str]:
    """The table with the place and the verdicts of each line above its figures."""
    heading, rule, *figures = _text(headings[_PLACE:-1], [line[_PLACE:-1] for line in lines])
    yield from ("", heading, rule)
    for line, shown in zip(lines, figures, strict=True):
        yield from _wrapped(f"{', '.join(filter(None, line[:_PLACE]))}: {line[-1]}", width)
        yield shown


def _wrapped(text: str, width: float, indent: str = "") -> list[str]:
    """The text in lines; names that are longer than a line stay whole, for they are copied."""
    if math.isinf(width):
        return [f"{indent}{text}"]
    return textwrap.wrap(
        text,
        int(width),
        initial_indent=indent,
        subsequent_indent=f"{indent}{_INDENT}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _other_versions(before: SavedReport, after: SavedReport) -> Iterator[str]:
    for distribution in dict.fromkeys((*before.versions, *after.versions)):
        old, new = (report.versions.get(distribution, "absent") for report in (before, after))
        if old != new:
            yield f"{distribution}: {old} -> {new}"


def _timed(report: SavedReport) -> dict[Key, Row]:
    return {_key(row): row for row in report.rows if _p50_ns(row)}


def _key(row: Row) -> Key:
    return row.test, row.result.model, row.result.call


def _p50(row: Row | None) -> str:
    found = _p50_ns(row)
    return format_duration(found) if found else _NONE


def _over(before_ns: float | None, after_ns: float | None) -> float | None:
    return after_ns / before_ns if before_ns and after_ns else None


def _ratio_of(before: Row | None, after: Row | None) -> Estimate | None:
    """Today's ratio to a backend over the earlier one; each was found in one process."""
    old, new = _latency(before), _latency(after)
    if not (old and new and old.race and new.race) or old.vs != new.vs:
        return None
    return new.race.estimate.over(old.race.estimate)


def _p50_ns(row: Row | None) -> float | None:
    found = _latency(row)
    return found.p50_ns if found else None


def _latency(row: Row | None) -> LatencyMeasurement | None:
    return row.measured(LatencyMeasurement) if row else None


def _verdict(row: Row | None) -> str:
    return row.verdict if row else "absent"
