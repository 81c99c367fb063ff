"""A result as flat facts: the form in which it travels through JUnit, xdist and files."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.facts.parity import flat


def facts_of(result: Result) -> Iterator[tuple[str, Scalar]]:
    """Yield dotted names with scalars: ``parity.verdict``, ``latency.p50_ns``."""
    yield from (("model", result.model), ("backend", result.backend), ("call", result.call))
    for verdict in result.verdicts:
        yield f"{verdict.kind}.verdict", verdict.outcome.value
        yield f"{verdict.kind}.sentence", verdict.sentence
        measured = flat(verdict.measurement) if verdict.measurement is not None else {}
        for name, value in {**measured, **verdict.facts}.items():
            yield f"{verdict.kind}.{name}", value
