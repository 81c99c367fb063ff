"""A summary of parity as flat facts, and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.parity_summary import OutputCounts, OutputSummary, ParitySummary, TokenSummary
from pytest_cpuaccel.core.precision import Precision

T = TypeVar("T", OutputCounts, OutputSummary, TokenSummary)


def flat(summary: ParitySummary) -> dict[str, Scalar]:
    """Return the facts of a verdict on parity, without their kind."""
    facts: dict[str, Scalar] = {}
    facts |= _held(summary.counts)
    if summary.precision is not None:
        facts["precision"] = summary.precision.value
    facts |= _held(summary.tokens)
    facts |= _held(summary.worst)
    facts["figure"] = summary.figure
    if summary.calls is not None:
        facts["calls"] = summary.calls
    if summary.withholds:
        facts["withholds"] = " ".join(summary.withholds)
    return facts


def read(facts: Mapping[str, Scalar]) -> ParitySummary | None:
    """Return the summary that facts were made of; None where they hold none."""
    if "figure" not in facts:
        return None
    calls = facts.get("calls")
    return ParitySummary(
        str(facts["figure"]),
        Precision(facts["precision"]) if "precision" in facts else None,
        _read(OutputCounts, facts) if "compared_elements" in facts else None,
        _read(TokenSummary, facts) if "compared_elements" not in facts else None,
        _read(OutputSummary, facts),
        int(calls) if calls is not None else None,
        tuple(str(facts.get("withholds", "")).split()),
    )


def _held(value: OutputCounts | OutputSummary | TokenSummary | None) -> Iterator[tuple[str, Scalar]]:
    """The fields that hold something."""
    named = ((item.name, getattr(value, item.name)) for item in fields(value)) if value else ()
    return ((name, held) for name, held in named if held is not None)


def _read(kind: type[T], facts: Mapping[str, Scalar]) -> T:
    held: dict[str, Any] = {item.name: facts[item.name] for item in fields(kind) if item.name in facts}
    return kind(**held)
