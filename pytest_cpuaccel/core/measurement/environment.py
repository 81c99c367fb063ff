"""What a workload does in this environment and in another one."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Literal

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown

Quantity = Literal["cold start", "build", "peak memory", "artifact"]

OfCandidate = Literal["", "fails", "is skipped"]
"""How a test ends with the candidate alone; "" where it runs there, or where nothing is known."""


@dataclass(frozen=True)
class Environments:
    """The two environments of a comparison, by name: the ``candidate`` is held to the ``reference``.

    ``changes`` are what differs between the two, such as ``onnxruntime 1.22.1 -> 1.31.1``, the candidate's last.
    """

    candidate: str
    reference: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswersMeasurement:
    """A workload's answers in both environments, each held to eager's.

    ``candidate`` and ``reference`` say in few words how far the worst answer is off there. ``move`` is the largest
    absolute difference between the two answers, None where they can't be subtracted. ``first_token`` is the first
    place, from 0, at which the tokens of ``generate()`` differ between the two; None where they don't, or are none.
    Where one alone is wrong, ``eager`` says how far the answer of that environment's own eager model is off; "" where
    that is not known. ``obstacle`` says why they were not compared.
    """

    environments: Environments
    candidate: str = ""
    reference: str = ""
    move: float | None = None
    first_token: int | None = None
    eager: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class EnvironmentMeasurement:
    """How long a call takes with the candidate over the reference, of which it may take ``limit`` times as long.

    ``obstacle`` says why there was no race, and ``alone`` how the test ends with the candidate and not with the
    reference.
    """

    environments: Environments
    limit: float
    race: CrewRaceMeasurement | None = None
    obstacle: str = ""
    alone: OfCandidate = ""


@dataclass(frozen=True)
class Resource:
    """One quantity on both sides, of one fresh process or more each, in ns or bytes; of an artifact's size, of one.

    ``shown`` is what they show of the limit.
    """

    quantity: Quantity
    candidate: tuple[float, ...]
    reference: tuple[float, ...]
    shown: Shown

    @property
    def ratio(self) -> float | None:
        """Return the median of the candidate over that of the reference; None where the latter is 0."""
        theirs = median(self.reference)
        return median(self.candidate) / theirs if theirs else None


@dataclass(frozen=True)
class ResourcesMeasurement:
    """What starts, memory and artifacts of a workload take in both environments, and how much more they may take."""

    environments: Environments
    limit: float
    resources: tuple[Resource, ...] = ()
    obstacle: str = ""
