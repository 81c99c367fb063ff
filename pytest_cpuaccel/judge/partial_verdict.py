"""A partial verdict on one limit of a budget, and the joining of parts to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.core.budget import NO_LIMIT
from pytest_cpuaccel.core.verdict import Kind, Measurement, Outcome, Verdict


@dataclass(frozen=True)
class PartialVerdict:
    """``sentence`` holds what was found and what was allowed, ``evidence`` where it came from."""

    outcome: Outcome
    sentence: str
    evidence: str = ""


def verdict(kind: Kind, parts: Sequence[PartialVerdict], measurement: Measurement, about: str = "") -> Verdict:
    """Return the worst of the outcomes, with the sentences and the evidence of the parts that have it.

    The sentence begins with ``about``, unless that is empty.
    """
    outcome = Outcome.worst(part.outcome for part in parts)
    worst = [part for part in parts if part.outcome is outcome]
    sentence = ": ".join(filter(None, (about, "; ".join(part.sentence for part in worst))))
    evidence = tuple(part.evidence for part in worst if part.evidence)
    return Verdict(kind, outcome, sentence, evidence, measurement=measurement)


def allowed(limit: float, show: Callable[[float], str]) -> str:
    """Return the words for what a budget allows."""
    return "no budget" if limit == NO_LIMIT else f"budget {show(limit)}"
