"""A partial verdict on one limit of a budget, and the joining of parts to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict


@dataclass(frozen=True)
class PartialVerdict:
    """``sentence`` holds what was found and what was allowed, ``evidence`` where it came from.

    ``outcome`` is None where nothing was asked.
    """

    outcome: Outcome | None
    sentence: str
    evidence: str = ""


def verdict(kind: Kind, about: str, parts: Sequence[PartialVerdict]) -> Verdict:
    """Return the worst of the outcomes, with the sentences and the evidence of the parts that have it."""
    outcome = Outcome.worst(part.outcome for part in parts if part.outcome)
    worst = [part for part in parts if part.outcome is outcome]
    sentence = f"{about}: {'; '.join(part.sentence for part in worst)}"
    return Verdict(kind, outcome, sentence, tuple(part.evidence for part in worst if part.evidence))
