"""The latency of a workload as flat facts."""

from __future__ import annotations

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.report.facts import percentiles, race, self_check
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, text, truth


def flat(found: LatencyMeasurement) -> dict[str, Scalar]:
    """Return the numbers; what was not measured is left out. Where both have a median, the percentiles' counts."""
    facts = known(
        {
            "vs": found.vs,
            "kv_cache": None if found.without_kv_cache is None else False,
            "without_kv_cache": found.without_kv_cache,
            "threads_used": found.threads_used,
            "reference_threads_used": found.reference_threads_used,
        }
    )
    if found.race is not None:
        facts |= {**race.flat(found.race), **race.flat_pairs(found.race)}
    if found.percentiles is not None:
        facts |= percentiles.flat(found.percentiles)
    return facts | self_check.flat(found.self_check) | known({"inputs": found.inputs, "artifact": found.artifact})


def read(facts: Facts) -> LatencyMeasurement | None:
    """Return the measurement that facts tell of; None where there was none."""
    versus = text(facts, "vs")
    if versus is None:
        return None
    without_kv_cache = text(facts, "without_kv_cache") or ""
    return LatencyMeasurement(
        vs=versus,
        race=race.read(facts),
        percentiles=percentiles.read(facts),
        threads_used=count(facts, "threads_used"),
        reference_threads_used=count(facts, "reference_threads_used"),
        without_kv_cache=without_kv_cache if truth(facts, "kv_cache") is False else None,
        self_check=self_check.read(facts),
        inputs=text(facts, "inputs"),
        artifact=text(facts, "artifact"),
    )
