"""A test that ends otherwise on one side is told of, and blamed on the candidate only where that is the reason."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.core.measurement.environment import Environments
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.against import Against, AgainstSettings
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.sides.processes import NotStandingError
from pytest_cpuaccel.sides.side_process import CalledWorkload, Ended

STANDS: tuple[CalledWorkload, ...] = ()
FAILED = Ended("call failed", "AssertionError: assert 2 == 1")


@dataclass
class Runs:
    """Processes of a side in which a test ends, from one run to the next, as it is told; None where it stands by."""

    name: str
    endings: Sequence[Ended | None]
    count: int = field(default=0)

    def run(self, *_: object) -> tuple[CalledWorkload, ...]:
        ending = self.endings[min(self.count, len(self.endings) - 1)]
        self.count += 1
        if ending is not None:
            raise NotStandingError(ending)
        return STANDS

    def leave(self) -> None:
        pass


def verdict_on(candidate: Runs, reference: Runs, *, is_candidate_here: bool) -> Verdict:
    settings = AgainstSettings(Environments("new", "old"), 1.05, CrewRaceConfig(), is_candidate_here)
    sides: Any = (candidate, reference)
    against = Against(*sides, settings, contextlib.nullcontext, lambda _: contextlib.nullcontext())
    workload: Any = SimpleNamespace(label="forward 2x16", calls=())
    evaluation: Any = SimpleNamespace(backend=SimpleNamespace(name="ort"))
    comparisons: Any = None
    with against.test("test_it.py::test_it", None):
        [found] = against.verdicts(workload, evaluation, comparisons)
    return found


def test_a_test_that_fails_twice_with_the_candidate_alone_is_a_fail() -> None:
    candidate = Runs("new", [FAILED])
    found = verdict_on(candidate, Runs("old", [None]), is_candidate_here=False)
    assert found.outcome is Outcome.FAIL
    assert candidate.count == 2


@pytest.mark.parametrize("endings", [[FAILED, None], [None]], ids=["once", "never"])
def test_a_test_that_fails_by_chance_is_no_fail(endings: list[Ended | None]) -> None:
    found = verdict_on(Runs("new", endings), Runs("old", [None]), is_candidate_here=False)
    assert found.outcome is Outcome.INCONCLUSIVE


def test_a_test_that_this_session_ran_is_not_blamed_on_its_environment() -> None:
    found = verdict_on(Runs("new", [FAILED]), Runs("old", [None]), is_candidate_here=True)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "assert 2 == 1" in found.sentence


@pytest.mark.parametrize("is_candidate_here", [True, False])
def test_a_test_that_fails_with_both_is_blamed_on_neither(is_candidate_here: bool) -> None:
    found = verdict_on(Runs("new", [FAILED]), Runs("old", [FAILED]), is_candidate_here=is_candidate_here)
    assert found.outcome is Outcome.INCONCLUSIVE
