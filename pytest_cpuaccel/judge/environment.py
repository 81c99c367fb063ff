"""The verdicts on a workload in this environment against another one."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.crew_race import judge_crews


def judge_answers(found: AnswersMeasurement, outcomes: tuple[Outcome, Outcome]) -> Verdict:
    """Return the verdict on answers of which eager's judge found ``outcomes``, here and there.

    A FAIL says that the answer is wrong here and was not there.
    """
    if found.obstacle:
        return Verdict("answers", Outcome.INCONCLUSIVE, f"not compared with {found.name}: {found.obstacle}")
    here, there = outcomes
    both = f"off eager by {found.here} here and by {found.there} with {found.name}{_moved(found.move)}"
    if here is Outcome.FAIL and there is not Outcome.FAIL:
        outcome, sentence = Outcome.FAIL, f"wrong since {found.name}: {both}"
    elif here is Outcome.FAIL:
        outcome, sentence = Outcome.INCONCLUSIVE, f"wrong with {found.name} too: {both}"
    elif Outcome.INCONCLUSIVE in outcomes:
        outcome, sentence = Outcome.INCONCLUSIVE, f"can't be told: {both}"
    else:
        was_wrong = f"; it was wrong with {found.name}" if there is Outcome.FAIL else ""
        outcome, sentence = Outcome.PASS, f"{both}{was_wrong}"
    changed = changed_since(found.changes) if outcome is not Outcome.PASS else ""
    return Verdict("answers", outcome, f"{sentence}{changed}", measurement=found)


def judge_environment(found: EnvironmentMeasurement) -> Verdict:
    """Return the verdict on what a call takes here over what it takes there."""
    if found.race is None:
        sentence = f"not raced against {found.name}: {found.obstacle}"
        return Verdict("environment", Outcome.INCONCLUSIVE, sentence, measurement=found)
    part = judge_crews(found.race, found.limit, found.name)
    changed = changed_since(found.changes) if part.outcome is Outcome.FAIL else ""
    evidence = (part.evidence,) if part.evidence else ()
    return Verdict("environment", part.outcome, f"{part.sentence}{changed}", evidence, measurement=found)


def changed_since(changes: Sequence[str]) -> str:
    """Return what differs between the environments, as the end of a sentence."""
    return f"; changed since: {', '.join(changes)}" if changes else ""


def _moved(move: float | None) -> str:
    if move is None:
        return ""
    return "; the answer is the same, bit for bit" if move == 0 else f"; the answer moved by {move:.2g}"
