"""A result as flat facts: the form in which it travels through JUnit, xdist and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Measurement, Outcome, Verdict
from pytest_cpuaccel.report.facts import (
    accuracy,
    baseline,
    bounds,
    census,
    environment,
    explanation,
    latency,
    localization,
    memory,
    parity,
    sensitivity,
    startup,
)
from pytest_cpuaccel.report.facts.scalars import Facts, text


class _Form(NamedTuple):
    """How the measurement of one kind of verdict becomes facts, and is read back."""

    flat: Callable[[Any], dict[str, Scalar]]
    read: Callable[[Facts], Measurement | None]


KINDS: tuple[Kind, ...] = get_args(Kind)

_FORMS: Mapping[Kind, _Form] = {
    "parity": _Form(parity.flat, parity.read),
    "accuracy": _Form(accuracy.flat, accuracy.read),
    "latency": _Form(latency.flat, latency.read),
    "baseline": _Form(baseline.flat, baseline.read),
    "startup": _Form(startup.flat, startup.read),
    "memory": _Form(memory.flat, memory.read),
    "kernels": _Form(lambda _: {}, lambda _: None),
    "answers": _Form(environment.flat_answers, environment.read_answers),
    "environment": _Form(environment.flat, environment.read),
    "resources": _Form(environment.flat_resources, environment.read_resources),
}
"""A verdict on kernels has no measurement of its own: the result has the census."""


def facts_of(result: Result) -> Iterator[tuple[str, Scalar]]:
    """Yield dotted names with scalars: ``parity.verdict``, ``latency.p50_ns``."""
    yield from (("model", result.model), ("backend", result.backend), ("call", result.call))
    for verdict in result.verdicts:
        yield f"{verdict.kind}.verdict", verdict.outcome.value
        yield f"{verdict.kind}.sentence", verdict.sentence
        for name, value in _measured(verdict).items():
            yield f"{verdict.kind}.{name}", value
    yield from census.flat(result.kernels).items()


def result_of(facts: Facts) -> Result:
    """Return the result that facts hold."""
    verdicts = tuple(_verdict(kind, dict(_facts_of_kind(kind, facts))) for kind in KINDS if f"{kind}.verdict" in facts)
    model, backend, call = (text(facts, name) or "" for name in ("model", "backend", "call"))
    return Result(model, backend, call, verdicts, census.read(facts))


def _measured(verdict: Verdict) -> dict[str, Scalar]:
    found = {} if verdict.measurement is None else _FORMS[verdict.kind].flat(verdict.measurement)
    return {
        **found,
        **bounds.flat(verdict.bounds),
        **explanation.flat(verdict),
        **localization.flat(verdict.localization),
        **sensitivity.flat(verdict.sensitivity),
    }


def _facts_of_kind(kind: Kind, facts: Facts) -> Iterator[tuple[str, Scalar]]:
    for name, value in facts.items():
        own, _, fact = name.partition(".")
        if own == kind:
            yield fact, value


def _verdict(kind: Kind, facts: dict[str, Scalar]) -> Verdict:
    return Verdict(
        kind,
        Outcome(facts["verdict"]),
        text(facts, "sentence") or "",
        *explanation.read(facts),
        measurement=_FORMS[kind].read(facts),
        bounds=bounds.read(facts),
        localization=localization.read(facts),
        sensitivity=sensitivity.read(facts),
    )
