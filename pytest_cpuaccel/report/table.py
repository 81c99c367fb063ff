"""The table that every report shows: which columns there are, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement
from pytest_cpuaccel.core.units import format_bytes, format_duration, format_rate
from pytest_cpuaccel.report.facts.accuracy import figure
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
        row.text("parity.figure"),
        _accuracy(row.measured(AccuracyMeasurement)),
        _figure(row, "latency.p50_ns", format_duration) or _withheld(row),
        _percentile(row, "p90"),
        _percentile(row, "p99"),
        _figure(row, "latency.items_per_s", format_rate),
        _figure(row, "latency.ttft_ns", format_duration),
        _figure(row, "latency.tpot_ns", format_duration),
        _ratio(row),
        row.text("baseline.figure"),
        *_startup(row.measured(StartupMeasurement)),
        *_memory(row.measured(MemoryMeasurement)),
        row.verdict + (" (xfail)" if row.outcome == "xfailed" else ""),
    ]


def _accuracy(found: AccuracyMeasurement | None) -> str:
    return "" if found is None else figure(found)


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


def _figure(row: Row, name: str, shown: Callable[[float], str]) -> str:
    number = row.number(name)
    return "" if number is None else shown(number)


def _percentile(row: Row, name: str) -> str:
    """A percentile that was held to a budget; all others are known too, but from fewer calls than they take."""
    return _figure(row, f"latency.{name}_ns", format_duration) if row.number(f"latency.{name}_blocks") else ""


def _withheld(row: Row) -> str:
    return "withheld" if "latency" in row.text("parity.withholds").split() else ""


def _ratio(row: Row) -> str:
    ratio, low, high = (row.number(f"latency.{name}") for name in ("ratio", "ratio_low", "ratio_high"))
    if not ratio:
        return ""
    interval = f" [{1 / high:.2f}, {1 / low:.2f}]" if low and high else ""
    versus = row.text("latency.vs")
    against = "" if versus == "eager" else f" vs {versus}"
    return f"{1 / ratio:.2f}x{interval}{against}" + (
        " (no KV cache)" if row.facts.get("latency.kv_cache") is False else ""
    )
