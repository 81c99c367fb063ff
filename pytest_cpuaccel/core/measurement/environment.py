"""What a workload does in this environment and in another one."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement


@dataclass(frozen=True)
class AnswersMeasurement:
    """The answers of both environments, each held to eager's.

    ``name`` is that of the other environment, ``changes`` the distributions in which the two differ. ``here`` and
    ``there`` say in few words how far the worst answer is off. ``move`` is the largest absolute difference between the
    two answers, None where they can't be subtracted. ``obstacle`` says why they were not compared.
    """

    name: str
    changes: tuple[str, ...] = ()
    here: str = ""
    there: str = ""
    move: float | None = None
    obstacle: str = ""


@dataclass(frozen=True)
class EnvironmentMeasurement:
    """How long a call takes here over the other environment ``name``, of which it may take ``limit`` times as long."""

    name: str
    limit: float
    changes: tuple[str, ...] = ()
    race: CrewRaceMeasurement | None = None
    obstacle: str = ""
