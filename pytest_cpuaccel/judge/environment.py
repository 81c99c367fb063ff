"""The verdicts on a workload with one environment against another."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    Environments,
    Resource,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.units import format_bytes, format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.crew_race import judge_crews
from pytest_cpuaccel.judge.latency import outcome_of
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict, verdict

_MOST_CHANGES = 6
"""Distributions named in a sentence; the measurement has all."""


def judge_answers(
    found: AnswersMeasurement, candidate: Outcome, reference: Outcome, eager: Outcome | None = None
) -> Verdict:
    """Return the verdict on answers, given the outcomes of each side's comparison with eager.

    Where one of them alone fails, ``eager`` is the outcome for that environment's own eager model, None where that is
    not known. A FAIL says that the candidate alone is wrong, or that eager itself answers otherwise in one of the two.
    """
    names = found.environments
    if found.obstacle:
        sentence = f"answers not compared: {found.obstacle}"
        return Verdict("answers", Outcome.INCONCLUSIVE, sentence, measurement=found)
    outcome, opening = _told(found, candidate, reference, eager)
    both = (
        f"off eager by {found.candidate} with {names.candidate} and by {found.reference} with {names.reference}"
        f"{_moved(found)}"
    )
    changed = _changes(names) if outcome is Outcome.FAIL else ""
    return Verdict("answers", outcome, f"{opening}{both}{changed}", measurement=found)


def _told(
    found: AnswersMeasurement, candidate: Outcome, reference: Outcome, eager: Outcome | None
) -> tuple[Outcome, str]:
    """The outcome, and how its sentence begins."""
    names = found.environments
    match candidate, reference:
        case Outcome.PASS, Outcome.PASS:
            return Outcome.PASS, ""
        case Outcome.FAIL, Outcome.FAIL:
            return (Outcome.PASS if found.move == 0 else Outcome.INCONCLUSIVE), "wrong with both: "
        case Outcome.FAIL, Outcome.PASS:
            moved = f"eager itself answers otherwise with {names.candidate}: "
            return Outcome.FAIL, moved if eager is Outcome.FAIL else f"wrong with {names.candidate}: "
        case Outcome.PASS, Outcome.FAIL if eager is Outcome.PASS:
            return Outcome.PASS, f"wrong with {names.reference} alone: "
        case Outcome.PASS, Outcome.FAIL if eager is Outcome.FAIL:
            return Outcome.FAIL, f"eager itself answers otherwise with {names.reference}: "
        case _:
            return Outcome.INCONCLUSIVE, "can't be told: "


def judge_environment(found: EnvironmentMeasurement) -> Verdict:
    """Return the verdict on what a call takes with the candidate over what it takes with the reference."""
    names = found.environments
    if found.race is None:
        if found.alone == "fails":
            sentence = f"{found.obstacle}; with {names.reference} it runs{_changes(names)}"
            return Verdict("environment", Outcome.FAIL, sentence, measurement=found)
        sentence = f"not compared: {found.obstacle}"
        return Verdict("environment", Outcome.INCONCLUSIVE, sentence, measurement=found)
    part = judge_crews(found.race, found.limit, names.reference)
    changed = _changes(names) if part.outcome is Outcome.FAIL else ""
    evidence = (part.evidence,) if part.evidence else ()
    return Verdict("environment", part.outcome, f"{part.sentence}{changed}", evidence, measurement=found)


def judge_resources(found: ResourcesMeasurement) -> Verdict:
    """Return the verdict on starts, memory and artifacts: the worst of them."""
    if found.obstacle:
        sentence = f"starts and memory not compared: {found.obstacle}"
        return Verdict("resources", Outcome.INCONCLUSIVE, sentence, measurement=found)
    told = verdict("resources", [_resource(each, found) for each in found.resources], found)
    changed = _changes(found.environments) if told.outcome is Outcome.FAIL else ""
    return replace(told, sentence=f"{told.sentence}{changed}")


def _resource(each: Resource, found: ResourcesMeasurement) -> PartialVerdict:
    show = format_duration if each.quantity in ("cold start", "build") else format_bytes
    ratio = "" if each.ratio is None else f" ({each.ratio:.2f}x)"
    sentence = (
        f"{each.quantity} {show(median(each.candidate))} against {show(median(each.reference))} with "
        f"{found.environments.reference}{ratio}, limit {found.limit:.4g}x"
    )
    outcome = outcome_of(each.shown)
    if outcome is Outcome.INCONCLUSIVE:
        sentence = f"{sentence}; {len(each.candidate)} processes a side lie on both sides of it"
    if len(each.candidate) == 1 and len(each.reference) == 1:
        return PartialVerdict(outcome, sentence)
    ours, theirs = (f"{show(min(side))} to {show(max(side))}" for side in (each.candidate, each.reference))
    return PartialVerdict(outcome, sentence, f"{each.quantity} of fresh processes: {ours} against {theirs}")


def _changes(names: Environments) -> str:
    if not names.changes:
        return ""
    more = f" and {len(names.changes) - _MOST_CHANGES} more" if len(names.changes) > _MOST_CHANGES else ""
    return f"; what differs: {', '.join(names.changes[:_MOST_CHANGES])}{more}"


def _moved(found: AnswersMeasurement) -> str:
    if found.first_token is not None:
        return f"; the first token that differs between the two is number {found.first_token + 1}"
    if found.move is None:
        return ""
    return "; both are equal" if found.move == 0 else f"; they differ by up to {found.move:.2g}"
