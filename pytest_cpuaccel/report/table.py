"""The table that every report shows: which columns there are, and what stands in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.units import format_bytes, format_duration, format_rate
from pytest_cpuaccel.report.facts import accuracy, baseline
from pytest_cpuaccel.report.row import Row

COLUMNS = (
    "model",
    "call",
    "backend",
    "parity",
    "accuracy",
    "p50",
    "p90",
    "p99",
    "throughput",
    "ttft",
    "tpot",
    "vs eager",
    "vs baseline",
    "cold start",
    "build",
    "peak memory",
    "artifact",
    "verdict",
)

_DURATIONS = ("p90", "p99", "ttft", "tpot")


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines, in table order; a column that nobody fills is left out."""
    lines = [_cells(row) for row in merged(rows)]
    used = [index for index in range(len(COLUMNS)) if any(line[index] for line in lines)]
    return [COLUMNS[index] for index in used], [[line[index] for index in used] for line in lines]


def merged(rows: Sequence[Row]) -> list[Row]:
    """Return the rows by model and call, so that backends stand below each other, in the order they ran.

    Tests that judge the same call of the same model by different marks share a row.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.result.model, row.result.call)):
        alike = groups.setdefault((row.result.model, row.result.call, row.result.backend), [])
        partner = next((known for known in alike if known.agrees_with(row)), None)
        if partner is None:
            alike.append(row)
        else:
            alike[alike.index(partner)] = partner.joined_with(row)
    return [row for alike in groups.values() for row in alike]


def _cells(row: Row) -> list[str]:
    return [
        row.result.model,
        row.result.call,
        row.result.backend,
        _parity(row.measured(ParitySummary)),
        _accuracy(row.measured(AccuracyMeasurement)),
        *_latency(row.measured(LatencyMeasurement), row.measured(ParitySummary)),
        _baseline(row.measured(BaselineMeasurement)),
        *_startup(row.measured(StartupMeasurement)),
        *_memory(row.measured(MemoryMeasurement)),
        row.verdict + (" (xfail)" if row.outcome == "xfailed" else ""),
    ]


def _parity(found: ParitySummary | None) -> str:
    return "" if found is None else found.figure


def _accuracy(found: AccuracyMeasurement | None) -> str:
    return "" if found is None else accuracy.figure(found)


def _startup(found: StartupMeasurement | None) -> list[str]:
    """The cold start and the build."""
    starts = (None, None) if found is None else (found.cold_start, found.build)
    return ["" if each is None else format_duration(each.best.ns) for each in starts]


def _memory(found: MemoryMeasurement | None) -> list[str]:
    """The peak and the artifact."""
    process, artifact = (None, None) if found is None else (found.process, found.artifact)
    return [
        "" if process is None else format_bytes(process.peak_bytes),
        "" if artifact is None else format_bytes(artifact.bytes),
    ]


def _latency(found: LatencyMeasurement | None, parity: ParitySummary | None) -> list[str]:
    """The median, further percentiles, throughput, tokens, and the speed against another backend."""
    if found is None:
        withheld = parity is not None and "latency" in parity.withholds
        return ["withheld" if withheld else "", *[""] * 6]
    limits = found.percentiles.limits if found.percentiles else {}
    p50 = "" if found.p50_ns is None else format_duration(found.p50_ns)
    durations = ("" if name not in limits else format_duration(limits[name].found_ns) for name in _DURATIONS)
    p90, p99, ttft, tpot = durations
    items_per_s = limits["throughput"].items_per_s if "throughput" in limits else None
    rate = "" if items_per_s is None else format_rate(items_per_s)
    return [p50, p90, p99, rate, ttft, tpot, _speed(found)]


def _speed(found: LatencyMeasurement) -> str:
    """The speed against another backend, with its interval."""
    if found.race is None:
        return ""
    inverse = found.race.estimate.inverse
    interval = f" [{inverse.low:.2f}, {inverse.high:.2f}]" if inverse.low and inverse.high < math.inf else ""
    against = "" if found.vs == "eager" else f" vs {found.vs}"
    without_cache = "" if found.without_kv_cache is None else " (no KV cache)"
    return f"{inverse.value:.2f}x{interval}{against}{without_cache}"


def _baseline(found: BaselineMeasurement | None) -> str:
    return "" if found is None else baseline.figure(found)
