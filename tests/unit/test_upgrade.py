"""What an upgrade does to each call, in one word, and the exit code of all."""

from __future__ import annotations

from math import log

import pytest

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.environment import EnvironmentMeasurement, Environments, OfCandidate
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.upgrade import Effect, upgrade_of

NAMES = Environments("new", "this environment", ("onnxruntime 1.22.1 -> 1.31.1",))


def raced(ratio: float, outcome: Outcome, width: float = 0.02) -> Verdict:
    shown = {Outcome.PASS: Shown.BELOW, Outcome.FAIL: Shown.ABOVE, Outcome.INCONCLUSIVE: Shown.OPEN}[outcome]
    levels = (log(ratio),) * 4
    race = CrewRaceMeasurement(
        ratio=ratio,
        interval=(ratio - width, ratio + width),
        candidate_levels=levels,
        reference_levels=levels,
        processes=4,
        sweeps=20,
        seconds=2.0,
        p50_ns=1e6,
        reference_p50_ns=1e6,
        cpu_ratio=None,
        queued_share=0.0,
        threads=1,
        seed=0,
        shown=shown,
    )
    return Verdict("environment", outcome, "as long", measurement=EnvironmentMeasurement(NAMES, 1.05, race))


def other(kind: Kind, outcome: Outcome) -> Verdict:
    return Verdict(kind, outcome, f"{kind} {outcome.value}")


def stopped(alone: OfCandidate, outcome: Outcome) -> Verdict:
    found = EnvironmentMeasurement(NAMES, 1.05, obstacle="with new it fails", alone=alone)
    return Verdict("environment", outcome, "with new it fails", measurement=found)


PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "effect", "code"),
    [
        ([raced(1.0, PASS)], "same", 0),
        ([raced(0.9, PASS)], "faster", 0),
        ([raced(1.2, FAIL)], "slower", 1),
        ([raced(1.05, INCONCLUSIVE)], "not told", 2),
        ([other("answers", FAIL)], "other answers", 1),
        ([other("answers", INCONCLUSIVE), raced(1.0, PASS)], "not told", 2),
        ([other("answers", INCONCLUSIVE), raced(1.2, FAIL)], "slower", 1),
        ([raced(1.0, PASS), other("resources", FAIL)], "needs more", 1),
        ([raced(0.9, PASS), other("resources", PASS)], "faster", 0),
        ([stopped("fails", FAIL)], "broken", 1),
        ([stopped("is skipped", INCONCLUSIVE)], "refused", 2),
        ([stopped("", INCONCLUSIVE)], "not told", 2),
    ],
)
def test_the_effect_is_that_of_the_worst_verdict(verdicts: list[Verdict], effect: Effect, code: int) -> None:
    found = upgrade_of([Row("test_a", "passed", Result("Net", "ort", "forward 1x2", tuple(verdicts)))])
    (affected,) = found.affected
    assert affected.effect == effect
    assert found.exit_code == code
    assert found.summary == f"1 {effect}"
    assert bool(affected.why) == (effect not in ("same", "faster"))
    assert len(found.worse) == (code == 1)


def test_a_test_of_which_nothing_is_compared_is_counted() -> None:
    rows = [
        Row("test_a", "passed", Result("Net", "ort", "forward 1x2", (raced(1.0, PASS),))),
        Row("test_b", "passed", Result("Net", "ort", "forward 1x2", (other("accuracy", PASS),))),
        Row("test_b", "passed", Result("Net", "ort", "forward 3x2", (other("accuracy", PASS),))),
    ]
    found = upgrade_of(rows)
    assert (found.left_out, found.exit_code, found.changes) == (1, 0, NAMES.changes)
    nothing = upgrade_of(rows[1:])
    assert (nothing.left_out, nothing.exit_code, nothing.summary) == (1, 2, "nothing was compared")
