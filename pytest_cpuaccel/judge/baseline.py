"""The verdict on a workload against a baseline: its old artifact is raced or, where there is none, ratios compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.artifact import manifest_of
from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core.baseline import Timed
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.baseline_comparison import BaselineComparison
from pytest_cpuaccel.judge.context import EvaluationContext
from pytest_cpuaccel.judge.evaluation import Evaluation
from pytest_cpuaccel.judge.latency import fresh, timed
from pytest_cpuaccel.judge.noise_check import with_fitness
from pytest_cpuaccel.judge.ratio import judge_by_ratio
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.recording.workload import Workload


def judge_baseline(
    workload: Workload, evaluation: Evaluation, latency: Verdict, context: EvaluationContext, config: RaceConfig
) -> Iterator[Verdict]:
    """Yield the verdict on a workload against the run's baseline; none where nothing can be compared, but a note."""
    baseline = context.baselines.against
    if baseline is None:
        return
    name, inputs = evaluation.backend.name, inputs_signature(workload.sample.inputs)
    result = baseline.results.get(Timed(evaluation.test, evaluation.label, name, workload.label, inputs))
    if result is None:
        context.builder.say(
            f'baseline "{baseline.name}" has no {workload.label} of {evaluation.test}; --cpu-save makes one'
        )
        return
    comparison = BaselineComparison(workload, evaluation, latency, context, config, baseline, result)
    _note_another_machine(comparison)
    if result.artifact is not None and evaluation.backend.exports_model:
        verdict = _by_artifact(comparison, result.artifact)
    else:
        verdict = judge_by_ratio(comparison, comparison.changes())
    if verdict is not None:
        allowed = LatencyBudget(max_slowdown=context.baselines.max_slowdown)
        yield with_fitness(verdict, workload.sample, evaluation, allowed, context, config)


def _note_another_machine(comparison: BaselineComparison) -> None:
    here, baseline = this_machine(), comparison.baseline
    if comparison.on_another_cpu or baseline.isa != here.isa:
        comparison.context.builder.say(
            f'baseline "{baseline.name}" was saved on {baseline.cpu} ({" ".join(baseline.isa)}), this is {here.cpu} '
            f"({' '.join(here.isa)}): times are not compared"
        )


def _by_artifact(comparison: BaselineComparison, artifact: Path) -> Verdict | None:
    """A race against the old artifact, unless it is the new one: a race of equals tells nothing."""
    name, changes = comparison.baseline.name, comparison.changes()
    if fault := comparison.context.builder.store.fault_of(artifact):
        found = f'the artifact of baseline "{name}" {fault}: {artifact}; save the baseline anew'
        return comparison.verdict(Outcome.INCONCLUSIVE, found, "race")
    evaluation, call = comparison.evaluation, comparison.call
    with comparison.context.builder.artifact(evaluation.request(call)) as folder:
        assert folder is not None
        before, today = manifest_of(artifact), manifest_of(folder)
    if before.key.get("options") != today.key.get("options"):
        changes.append(f"options {before.key.get('options')} -> {today.key.get('options')}")
    if before.key.get("backend_code") != today.key.get("backend_code"):
        changes.append("the code of the backend")
    if before.files == today.files:
        return judge_by_ratio(comparison, changes) if changes else _unchanged(comparison)
    if comparison.ratio is None:
        comparison.note("its calls are too slow to race")
        return None
    if lacking := [name for name in comparison.baseline.isa if name not in this_machine().isa]:
        comparison.note(f"its artifact was made for a CPU with {' '.join(lacking)}, which this one lacks")
        return None
    if before.key.get("model") != today.key.get("model"):
        changes.append("the model or its weights")
    return _raced(comparison, artifact, changes)


def _unchanged(comparison: BaselineComparison) -> Verdict:
    name = comparison.baseline.name
    found = f'artifact, versions and threads are those of baseline "{name}", so there is nothing to race'
    return comparison.verdict(Outcome.PASS, found, "unchanged", figure="unchanged")


def _raced(comparison: BaselineComparison, artifact: Path, changes: Sequence[str]) -> Verdict:
    with contextlib.ExitStack() as opened, torch.no_grad():
        try:
            with upstream.contained():
                reference = _loaded(comparison, artifact, opened)
                reference()
        except CpuaccelError as refusal:
            found = f'the artifact of baseline "{comparison.baseline.name}" does not run here: {refusal}'
            return comparison.verdict(Outcome.INCONCLUSIVE, found, "race", changes)
        evaluation, call = comparison.evaluation, comparison.call
        candidate = timed(comparison.context.builder.built(evaluation.request(call)), call)
        rebuild = partial(_rebuilt, comparison, artifact, opened)
        with comparison.context.alone():
            result = race(
                Sides(candidate, reference), limit=comparison.limit, rebuild=rebuild, config=comparison.config
            )
    ratio = Estimate(result.ratio, *result.interval)
    found = (
        f"{comparison.as_long(ratio)}, p50 {format_duration(result.p50_ns)} against "
        f"{format_duration(result.reference_p50_ns)}"
    )
    outcome = result.outcome or Outcome.INCONCLUSIVE
    if outcome is Outcome.INCONCLUSIVE:
        found = f"{found}; {result.reason}"
    return comparison.verdict(outcome, found, "race", changes, **result.facts(), figure=f"{ratio} as long")


def _loaded(comparison: BaselineComparison, artifact: Path, opened: contextlib.ExitStack) -> Callable[[], object]:
    evaluation, call = comparison.evaluation, comparison.call
    built = comparison.context.builder.build_from(artifact, evaluation.request(call))
    opened.callback(built.close)
    return timed(built, call)


def _rebuilt(comparison: BaselineComparison, artifact: Path, opened: contextlib.ExitStack) -> Sides:
    candidate = fresh(
        comparison.evaluation.model, comparison.evaluation.backend, comparison.call, comparison.context, opened
    )
    return Sides(timed(candidate, comparison.call), _loaded(comparison, artifact, opened))
