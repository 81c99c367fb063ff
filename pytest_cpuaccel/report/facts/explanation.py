"""The lines below a verdict's sentence as flat facts, and read back: evidence, diagnoses, notes."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from typing import Any, NamedTuple

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.report.facts.scalars import Facts, text


class Explanation(NamedTuple):
    """What a verdict has beside its sentence, in the order of its fields."""

    evidence: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    notes: tuple[str, ...]


def flat(verdict: Verdict) -> dict[str, Scalar]:
    """Return each list as one text in JSON; an empty one is left out."""
    lists: dict[str, tuple[Any, ...]] = {
        "evidence": verdict.evidence,
        "diagnoses": tuple(map(_plain, verdict.diagnoses)),
        "notes": verdict.notes,
    }
    return {name: json.dumps(values) for name, values in lists.items() if values}


def _plain(found: Diagnosis) -> dict[str, Any]:
    """The fields; JSON has no number for figures that are not finite."""
    return {**asdict(found), "figures": {name: each for name, each in found.figures.items() if isfinite(each)}}


def read(facts: Facts) -> Explanation:
    """Return what facts hold."""
    evidence, diagnoses, notes = (json.loads(text(facts, name) or "[]") for name in Explanation._fields)
    return Explanation(tuple(evidence), tuple(Diagnosis(**found) for found in diagnoses), tuple(notes))
