"""The table that every report shows: which columns there are, and what stands in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.environment import EnvironmentMeasurement, ResourcesMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.units import format_bytes, format_duration, format_rate
from pytest_cpuaccel.report.facts import accuracy, baseline
from pytest_cpuaccel.report.row import Row

COLUMNS = (
    "test",
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
    "vs environment",
    "cold start",
    "build",
    "peak memory",
    "artifact",
    "verdict",
)

_ALWAYS = ("backend", "verdict")

_DURATIONS = ("p90", "p99", "ttft", "tpot")


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines, a line for each row; a column that nobody fills is left out.

    The test stands in front where there are several.
    """
    names = short_names(rows)
    lines = [[names[row.title] if len(names) > 1 else "", *_cells(row)] for row in rows]
    used = [at for at, name in enumerate(COLUMNS) if name in _ALWAYS or any(line[at] for line in lines)]
    return [COLUMNS[index] for index in used], [[line[index] for index in used] for line in lines]


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by test, then by call, so that backends stand below each other in the order that they have."""
    given = list(rows)
    places = {title: place for place, title in enumerate(dict.fromkeys(row.title for row in given))}
    return sorted(given, key=lambda row: (places[row.title], row.ending is not None, row.result.model, row.result.call))


def short_names(rows: Iterable[Row]) -> dict[str, str]:
    """Return the name of each test by its title: without its file, unless tests of two files have one name."""
    titles = list(dict.fromkeys(row.title for row in rows))
    names = Counter(_name(title) for title in titles)
    return {title: _name(title) if names[_name(title)] == 1 else title for title in titles}


def _name(title: str) -> str:
    path, bracket, parameters = title.partition("[")
    return path.partition("::")[2] + bracket + parameters or title


def _cells(row: Row) -> list[str]:
    return [
        row.result.model,
        row.result.call,
        row.result.backend,
        _parity(row.measured(ParitySummary)),
        _accuracy(row.measured(AccuracyMeasurement)),
        *_latency(row.measured(LatencyMeasurement), row.measured(ParitySummary)),
        _baseline(row.measured(BaselineMeasurement)),
        _environment(row.measured(EnvironmentMeasurement), row.measured(ResourcesMeasurement)),
        *_startup(row.measured(StartupMeasurement)),
        *_memory(row.measured(MemoryMeasurement)),
        row.verdict,
    ]


def _parity(found: ParitySummary | None) -> str:
    return "" if found is None else found.figure


def _accuracy(found: AccuracyMeasurement | None) -> str:
    return "" if found is None else accuracy.figure(found)


def _environment(found: EnvironmentMeasurement | None, fresh: ResourcesMeasurement | None) -> str:
    """The latency over that in the other environment, then starts and memory."""
    if found is None:
        return ""
    estimate = None if found.race is None else found.race.estimate
    raced = "not raced" if estimate is None else f"{estimate} as long"
    others = [] if fresh is None else [f"{each.ratio:.2f}x {each.quantity}" for each in fresh.resources if each.ratio]
    return ", ".join((raced, *others))


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
