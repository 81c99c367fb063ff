"""What two runs found, side by side: a line for each test, model and call, with the ratio of their latencies."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.saved import SavedReport

_NONE = "-"


def comparison(name: str, before: SavedReport, other_name: str, after: SavedReport) -> Iterator[str]:
    """Yield the lines of a comparison.

    Times are compared on one kind of machine alone; ratios to another backend also on another CPU, as long as it has
    the same vector instructions and runs as many threads.
    """
    if before.machine != after.machine:
        yield f"{name} is of {before.machine}, {other_name} of {after.machine}: times are not compared"
    yield from _other_versions(before, after)
    rows, other_rows = _timed(before), _timed(after)
    lines = []
    for key in dict.fromkeys((*rows, *other_rows)):
        row, other = rows.get(key), other_rows.get(key)
        as_long = _as_long(row, other) if before.machine == after.machine else _NONE
        by_ratio = _by_ratio(row, other) if (before.isa, before.threads) == (after.isa, after.threads) else _NONE
        lines.append([*key, _p50(row), _p50(other), as_long, by_ratio, f"{_verdict(row)} -> {_verdict(other)}"])
    if not lines:
        yield "Neither has a latency."
        return
    headings = ["test", "model", "call", f"p50 {name}", f"p50 {other_name}", "as long", "by ratio", "verdicts"]
    yield tabulate(lines, headings, tablefmt="simple", disable_numparse=True)


def _other_versions(before: SavedReport, after: SavedReport) -> Iterator[str]:
    for distribution in dict.fromkeys((*before.versions, *after.versions)):
        old, new = (report.versions.get(distribution, "absent") for report in (before, after))
        if old != new:
            yield f"{distribution}: {old} -> {new}"


def _timed(report: SavedReport) -> dict[tuple[str, str, str], Row]:
    """The rows that have a latency; the backend stands in the test's name."""
    return {(row.test, row.result.model, row.result.call): row for row in report.rows if _p50_ns(row)}


def _p50(row: Row | None) -> str:
    found = _p50_ns(row)
    return format_duration(found) if found else _NONE


def _as_long(before: Row | None, after: Row | None) -> str:
    old, new = _p50_ns(before), _p50_ns(after)
    return f"{new / old:.2f}x" if old and new else _NONE


def _by_ratio(before: Row | None, after: Row | None) -> str:
    """Today's ratio to a backend over the earlier one; each was found in one process."""
    old, new = _latency(before), _latency(after)
    if not (old and new and old.race and new.race) or old.vs != new.vs:
        return _NONE
    return str(new.race.estimate.over(old.race.estimate))


def _p50_ns(row: Row | None) -> float | None:
    found = _latency(row)
    return found.p50_ns if found else None


def _latency(row: Row | None) -> LatencyMeasurement | None:
    return row.measured(LatencyMeasurement) if row else None


def _verdict(row: Row | None) -> str:
    return row.verdict if row else "absent"
