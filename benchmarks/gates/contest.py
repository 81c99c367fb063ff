"""A contest: two builds of one model under one backend, with the work that each does besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.gates.calibration import STANDARD_SLOWDOWN, Calibration
from benchmarks.gates.cell import GateCell
from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.work import Work


@dataclass(frozen=True)
class Contest:
    """What both sides are made of; its fields survive a trip through JSON."""

    model: str
    backend: str
    candidate: Work
    reference: Work


def contest_of(cell: GateCell, calibrations: Mapping[int, Calibration]) -> Contest:
    """Return the contest of a cell, given its callable's calibrations by slowdown.

    Drift, like a clock frequency, multiplies what a call takes: it adds the same share to both sides.
    """
    slowdown = calibrations.get(cell.slowdown)
    drift_rounds = CONDITIONS[cell.condition].drift * calibrations[STANDARD_SLOWDOWN].rounds_per_call
    candidate = Work(
        slowdown.rounds if slowdown else 0, round(drift_rounds * (1 + (slowdown.share if slowdown else 0)))
    )
    return Contest(cell.model, cell.backend, candidate, Work(0, round(drift_rounds)))


def contest_from(fields: Mapping[str, Any]) -> Contest:
    """Return the contest that ``dataclasses.asdict`` took apart."""
    return Contest(**{**fields, "candidate": Work(**fields["candidate"]), "reference": Work(**fields["reference"])})
