"""The verdicts on a workload with one environment against another."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement, Environments
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.crew_race import judge_crews


def judge_answers(found: AnswersMeasurement, candidate: Outcome, reference: Outcome) -> Verdict:
    """Return the verdict on answers, given the outcomes of each side's comparison with eager.

    A FAIL says that the candidate's answer is wrong and the reference's is not.
    """
    names = found.environments
    if found.obstacle:
        sentence = f"answers not compared with {names.reference}: {found.obstacle}"
        return Verdict("answers", Outcome.INCONCLUSIVE, sentence, measurement=found)
    both = (
        f"off eager by {found.candidate} with {names.candidate} and by {found.reference} with {names.reference}"
        f"{_moved(found.move)}"
    )
    verdict = Verdict("answers", Outcome.PASS, both, measurement=found)
    if candidate is Outcome.FAIL and reference is Outcome.FAIL:
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, sentence=f"wrong with both: {both}")
    if candidate is Outcome.FAIL and reference is Outcome.PASS:
        sentence = f"wrong with {names.candidate}: {both}{_changes(names)}"
        return replace(verdict, outcome=Outcome.FAIL, sentence=sentence)
    if candidate is Outcome.PASS and reference is Outcome.FAIL:
        return replace(verdict, sentence=f"wrong with {names.reference} alone: {both}")
    if candidate is Outcome.PASS and reference is Outcome.PASS:
        return verdict
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, sentence=f"can't be told: {both}")


def judge_environment(found: EnvironmentMeasurement) -> Verdict:
    """Return the verdict on what a call takes with the candidate over what it takes with the reference."""
    names = found.environments
    if found.race is None:
        sentence = f"not raced against {names.reference}: {found.obstacle}"
        return Verdict("environment", Outcome.INCONCLUSIVE, sentence, measurement=found)
    part = judge_crews(found.race, found.limit, names.reference)
    changed = _changes(names) if part.outcome is Outcome.FAIL else ""
    evidence = (part.evidence,) if part.evidence else ()
    return Verdict("environment", part.outcome, f"{part.sentence}{changed}", evidence, measurement=found)


def _changes(names: Environments) -> str:
    return f"; what differs: {', '.join(names.changes)}" if names.changes else ""


def _moved(move: float | None) -> str:
    if move is None:
        return ""
    return "; both are the same, bit for bit" if move == 0 else f"; they differ by up to {move:.2g}"
