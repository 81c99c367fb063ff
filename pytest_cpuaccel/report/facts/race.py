"""A race as flat facts."""

from __future__ import annotations

from math import inf

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.latency import RaceMeasurement
from pytest_cpuaccel.core.measurement.strain import Strain
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number, text, truth


def flat(race: RaceMeasurement) -> dict[str, Scalar]:
    """Return the numbers without those of single pairs; what could not be measured is left out."""
    low, high = race.interval
    return known(
        {
            "ratio": race.ratio,
            "ratio_low": low or None,
            "ratio_high": high if high < inf else None,
            "pairs": race.pairs,
            "seconds": race.seconds,
            "p50_ns": race.p50_ns,
            "p90_ns": race.p90_ns,
            "reference_p50_ns": race.reference_p50_ns,
            "reference_p90_ns": race.reference_p90_ns,
            "cpu_ratio": race.cpu_ratio,
            "off_cpu_share": race.off_cpu_share,
            "queued_share": race.queued_share,
            "context_switches": race.context_switches,
            "load_before": race.strain.load_before,
            "load_after": race.strain.load_after,
            "cpu_waiting_before": race.strain.cpu_waiting_before,
            "cpu_waiting_after": race.strain.cpu_waiting_after,
            "confirmed": race.confirmed,
            "threads": race.threads,
            "seed": race.seed,
            "throttled": race.strain.throttled,
            "steal": race.strain.steal,
        }
    )


def flat_pairs(race: RaceMeasurement) -> dict[str, Scalar]:
    """Return the wall ns of every pair as one text; nothing where they were not kept."""
    pairs_ns = " ".join(f"{ours:.0f}/{theirs:.0f}" for ours, theirs in race.pairs_ns)
    return {"pairs_ns": pairs_ns} if pairs_ns else {}


def read(facts: Facts) -> RaceMeasurement | None:
    """Return the race that facts tell of; None where there was none. What was shown of its limit they do not tell."""
    ratio = number(facts, "ratio")
    if ratio is None or ratio <= 0:
        return None
    high = number(facts, "ratio_high")
    return RaceMeasurement(
        ratio=ratio,
        interval=(number(facts, "ratio_low") or 0.0, inf if high is None else high),
        pairs=count(facts, "pairs") or 0,
        pairs_ns=_pairs(text(facts, "pairs_ns") or ""),
        seconds=number(facts, "seconds") or 0.0,
        p50_ns=number(facts, "p50_ns") or 0.0,
        p90_ns=number(facts, "p90_ns") or 0.0,
        reference_p50_ns=number(facts, "reference_p50_ns") or 0.0,
        reference_p90_ns=number(facts, "reference_p90_ns") or 0.0,
        cpu_ratio=number(facts, "cpu_ratio"),
        off_cpu_share=number(facts, "off_cpu_share") or 0.0,
        queued_share=number(facts, "queued_share") or 0.0,
        context_switches=count(facts, "context_switches") or 0,
        strain=Strain(
            load_before=number(facts, "load_before"),
            load_after=number(facts, "load_after"),
            cpu_waiting_before=number(facts, "cpu_waiting_before"),
            cpu_waiting_after=number(facts, "cpu_waiting_after"),
            throttled=count(facts, "throttled"),
            steal=number(facts, "steal"),
        ),
        confirmed=truth(facts, "confirmed"),
        threads=count(facts, "threads") or 0,
        seed=count(facts, "seed") or 0,
    )


def _pairs(told: str) -> tuple[tuple[float, float], ...]:
    pairs = (pair.partition("/") for pair in told.split())
    return tuple((float(ours), float(theirs)) for ours, _, theirs in pairs)
