"""A result as flat facts: the form in which it travels through JUnit, xdist and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.report.facts import baseline, latency


def facts_of(result: Result) -> Iterator[tuple[str, Scalar]]:
    """Yield dotted names with scalars: ``parity.verdict``, ``latency.p50_ns``."""
    yield from (("model", result.model), ("backend", result.backend), ("call", result.call))
    for verdict in result.verdicts:
        yield f"{verdict.kind}.verdict", verdict.outcome.value
        yield f"{verdict.kind}.sentence", verdict.sentence
        for name, value in _flat(verdict).items():
            yield f"{verdict.kind}.{name}", value


def _flat(verdict: Verdict) -> Mapping[str, Scalar]:
    match verdict.measurement:
        case LatencyMeasurement() as found:
            return latency.flat(found)
        case BaselineMeasurement() as found:
            return baseline.flat(found)
        case None:
            return verdict.facts
