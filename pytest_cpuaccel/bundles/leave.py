"""A bundle is left for a result that fails."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.builder.fingerprint import model_key
from pytest_cpuaccel.builder.state.snapshot import in_state
from pytest_cpuaccel.bundles.artifact_files import artifact_in
from pytest_cpuaccel.bundles.bundle import (
    MOST_CALLS,
    Answers,
    Bundle,
    Place,
    RecordedCall,
    RecordedMetric,
    RecordedModel,
    RecordedVerdict,
)
from pytest_cpuaccel.bundles.difference import difference
from pytest_cpuaccel.bundles.write import write_bundle
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.measurement.accuracy import PairedScores
from pytest_cpuaccel.core.one_line import one_line
from pytest_cpuaccel.core.verdict import AGAINST_ANOTHER, Outcome
from pytest_cpuaccel.evaluation.failure import Failure
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.report.environment import versions_of


@dataclass(frozen=True)
class BundleSettings:
    """``folder`` is where bundles are left; ``with_artifact`` puts the artifact into them, with its weights."""

    folder: Path
    with_artifact: bool = False


def leave_bundle(settings: BundleSettings, failure: Failure) -> tuple[str, ...]:
    """Write a bundle of a failure; return one line that says where, or why there is none."""
    evaluation, builder = failure.comparer.evaluation, failure.comparer.context.builder
    try:
        if len(failure.calls) > MOST_CALLS:
            raise UsageError(f"the model keeps state over {len(failure.calls)} calls; a bundle holds {MOST_CALLS}")
        with contextlib.ExitStack() as opened:
            artifact = None
            if failure.calls:
                artifact = opened.enter_context(builder.artifact(evaluation.request(failure.calls[-1])))
            bundle = _bundle_of(failure, artifact)
            folder = write_bundle(bundle, settings.folder, artifact if settings.with_artifact else None)
    except OSError as refusal:
        return (f"no bundle: can't write {str(settings.folder)!r}: {refusal.strerror}",)
    except (CpuaccelError, ValueError, RuntimeError) as refusal:
        return (f"no bundle: {one_line(str(refusal))}",)
    return (f"bundle: {folder} (cpuaccel replay judges it again)",)


def place_of(backend: Backend, threads: int) -> Place:
    """Return this machine and these versions."""
    machine = this_machine()
    return Place(
        cpu=machine.cpu,
        isa=machine.isa,
        cpus=machine.cpus,
        threads=threads,
        system=platform.platform(),
        python=platform.python_version(),
        versions=versions_of([backend]),
    )


def answers_of(failure: Failure) -> list[Answers]:
    """Return both sides' answers to the failing calls, without caches, which are state and no answer."""
    found = []
    for actual, references in failure.answers():
        others = (references.expected64, references.rounding)
        found.append(
            Answers(_answer(actual), _answer(references.expected), *(each and _answer(each) for each in others))
        )
    return found


def _bundle_of(failure: Failure, artifact: Path | None) -> Bundle:
    evaluation, result = failure.comparer.evaluation, failure.result
    if {verdict.kind for verdict in result.verdicts if verdict.outcome is Outcome.FAIL} <= AGAINST_ANOTHER:
        raise UsageError("it fails against another environment alone, which is not in a bundle")
    budgets, scores = evaluation.budgets, evaluation.scores
    if not failure.calls and scores.by_metric is None and not scores.actual:
        raise UsageError("nothing was scored")
    with in_state(evaluation.reference, evaluation.start):
        key = model_key(evaluation.reference)
    kept = failure.comparer.context.builder.kept_fp32(evaluation.model)
    return Bundle(
        test=evaluation.test,
        label=result.call,
        model=RecordedModel(result.model, key, evaluation.is_of_candidate, kept.patterns),
        backend=evaluation.backend.name,
        precision=evaluation.backend.precision,
        verdicts=tuple(
            RecordedVerdict(verdict.kind, verdict.outcome, verdict.sentence)
            for verdict in result.verdicts
            if verdict.kind not in AGAINST_ANOTHER
        ),
        place=place_of(evaluation.backend, failure.comparer.context.builder.threads),
        seed=torch.initial_seed(),
        calls=tuple(_recorded(*pair) for pair in zip(failure.calls, answers_of(failure), strict=True)),
        state=failure.state,
        budgets=budgets if budgets.parity is None else replace(budgets, parity=failure.comparer.held_to),
        **({} if failure.calls else _scored(scores)),
        kernels=result.kernels,
        artifact=None if artifact is None else artifact_in(artifact),
    )


def _scored(scores: Scores) -> dict[str, Any]:
    found = scores.by_metric
    if found is None:
        return {"scores": PairedScores(scores.actual, scores.expected)}
    metric = RecordedMetric(found.metric or "", found.items, found.score, found.eager_score)
    return {"scores": found.scores, "metric": metric}


def _recorded(call: Call, answers: Answers) -> RecordedCall:
    """The call without its streamer.

    Raises:
        UsageError: its tokens are eager's, so that it may have failed by what the streamer was told.
    """
    if call.heard is not None and not difference(answers.expected, answers.actual):
        raise UsageError("the tokens are eager's, and what a streamer was told is not kept")
    inputs = repeatable(call.inputs) if call.method == "generate" else call.inputs
    return RecordedCall(call.method, inputs, answers, call.rng_state)


def _answer(answer: Any) -> Answer:
    found = answer if isinstance(answer, Answer) else Answer(answer)
    return Answer(without_state(found.output), found.written)
