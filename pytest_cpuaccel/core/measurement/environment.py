"""What a workload does in this environment and in another one."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement


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
    absolute difference between the two answers, None where they can't be subtracted. ``obstacle`` says why they were
    not compared.
    """

    environments: Environments
    candidate: str = ""
    reference: str = ""
    move: float | None = None
    obstacle: str = ""


@dataclass(frozen=True)
class EnvironmentMeasurement:
    """How long a call takes with the candidate over the reference, of which it may take ``limit`` times as long."""

    environments: Environments
    limit: float
    race: CrewRaceMeasurement | None = None
    obstacle: str = ""
