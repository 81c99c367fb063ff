"""Percentiles as flat facts, with names that do not clash with those of a race."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.limit import Quantity
from pytest_cpuaccel.core.measurement.latency import LimitMeasurement, PercentileMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.measurement.strain import Strain
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number

_HELD = "_held_blocks"
_LEVELS = {"p90": 0.9, "p99": 0.99}
_QUANTITIES: Mapping[str, Quantity] = {"ttft": "ttft", "tpot": "tpot"}
_THROUGHPUT = "throughput"


def flat(found: PercentileMeasurement) -> dict[str, Scalar]:
    """Return the numbers; what could not be measured is left out."""
    facts: dict[str, Scalar | None] = {
        "p50_ns": found.p50_ns,
        "p90_ns": found.p90_ns,
        "p99_ns": found.p99_ns,
        "percentile_calls": found.calls,
        "percentile_seconds": found.seconds,
        "percentile_context_switches": found.context_switches,
        "probe_slowdown": found.probe_slowdown,
        "load_after": found.strain.load_after,
        "cpu_waiting_after": found.strain.cpu_waiting_after,
        "percentile_throttled": found.strain.throttled,
        "percentile_steal": found.strain.steal,
    }
    for name, limit in found.limits.items():
        facts |= _found(name, limit)
        facts[f"{name}{_HELD}"] = limit.held
        facts[f"{name}_blocks"] = limit.blocks
        facts[f"{name}_more_blocks"] = limit.more_blocks
    return known(facts)


def read(facts: Facts) -> PercentileMeasurement | None:
    """Return the percentiles that facts tell of; None where there are none.

    What was shown of a limit is told where it was left open with a number of blocks that would settle it.
    """
    calls = count(facts, "percentile_calls")
    if calls is None:
        return None
    return PercentileMeasurement(
        limits={name: _limit(facts, name) for name in _names(facts)},
        p50_ns=number(facts, "p50_ns") or 0.0,
        p90_ns=number(facts, "p90_ns") or 0.0,
        p99_ns=number(facts, "p99_ns") or 0.0,
        calls=calls,
        seconds=number(facts, "percentile_seconds") or 0.0,
        probe_slowdown=number(facts, "probe_slowdown") or 0.0,
        context_switches=count(facts, "percentile_context_switches") or 0,
        strain=Strain(
            load_after=number(facts, "load_after"),
            cpu_waiting_after=number(facts, "cpu_waiting_after"),
            throttled=count(facts, "percentile_throttled"),
            steal=number(facts, "percentile_steal"),
        ),
    )


def _found(name: str, limit: LimitMeasurement) -> dict[str, Scalar | None]:
    if limit.items is None:
        return {f"{name}_ns": limit.found_ns}
    return {"items": limit.items, "items_per_s": limit.items_per_s}


def _names(facts: Facts) -> list[str]:
    return [name.removesuffix(_HELD) for name in facts if name.endswith(_HELD)]


def _limit(facts: Facts, name: str) -> LimitMeasurement:
    more = count(facts, f"{name}_more_blocks")
    return LimitMeasurement(
        quantity=_QUANTITIES.get(name, "latency"),
        level=_LEVELS.get(name, 0.5),
        found_ns=number(facts, "p50_ns" if name == _THROUGHPUT else f"{name}_ns") or 0.0,
        held=count(facts, f"{name}{_HELD}") or 0,
        blocks=count(facts, f"{name}_blocks") or 0,
        more_blocks=more,
        items=count(facts, "items") if name == _THROUGHPUT else None,
        shown=None if more is None else Shown.OPEN,
    )
