"""A workload compared with a baseline: its old artifact is raced; without one, ratios are compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.baselines.comparison import BaselineComparison
from pytest_cpuaccel.baselines.settings import BaselineSettings
from pytest_cpuaccel.builder.artifact import manifest_of
from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core.baseline import Baseline, BaselineKey, SavedResult
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement, How
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.self_check import self_checked
from pytest_cpuaccel.evaluation.timed_models import fresh, fresh_sides, timed
from pytest_cpuaccel.evaluation.workload_kernels import WorkloadKernels
from pytest_cpuaccel.judge.baseline import judge_baseline
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.sequential_test import ESTIMATE_S
from pytest_cpuaccel.measure.latency.side import LocalSide, Sides
from pytest_cpuaccel.recording.workload import Workload


def lengthened(config: RaceConfig, evaluation: Evaluation, baselines: BaselineSettings) -> RaceConfig:
    """Return a race's settings: it lasts at least ``ESTIMATE_S`` where its ratio is saved or compared."""
    if evaluation.backend.exports_model or not baselines.needs_ratios:
        return config
    return replace(config, min_s=max(config.min_s, ESTIMATE_S))


def evaluate_baseline(kernels: WorkloadKernels, latency: LatencyMeasurement) -> Iterator[Verdict]:
    """Yield the verdict on a workload against the run's baseline; none where nothing can be compared, but a note.

    Raises:
        BusyError: the machine did not become free.
    """
    workload, evaluation, context = kernels.workload, kernels.evaluation, kernels.context
    baseline = context.baselines.against
    if baseline is None:
        return
    call = workload.sample
    result = _saved(baseline, workload, evaluation)
    if result is None:
        context.builder.say(
            f'baseline "{baseline.name}" has no {workload.label} of {evaluation.test}; --cpu-save makes one'
        )
        return
    itself = latency.vs == evaluation.backend.name and not evaluation.is_of_candidate
    comparison = BaselineComparison(baseline, result, latency, evaluation.backend, context.builder.threads, itself)
    _note_another_machine(comparison, context)
    subject = _Subject(call, evaluation, context)
    if result.artifact is not None and evaluation.backend.exports_model:
        measurement = _by_artifact(comparison, subject, result.artifact)
    else:
        measurement = _by_ratio(comparison, subject, comparison.changes())
    if measurement is not None:
        verdict = _judged(measurement, subject)
        verdict = replace(verdict, sentence=f"{evaluation.backend.name}: {workload.label}: {verdict.sentence}")
        yield kernels.beside_baseline(verdict, result.kernels, with_times=comparison.has_comparable_times)


@dataclass(frozen=True)
class _Subject:
    """The timed workload and the baseline's settings."""

    call: Call
    evaluation: Evaluation
    context: EvaluationContext

    @property
    def limit(self) -> float:
        """The greatest allowed latency, over that of the baseline."""
        return 1 + self.context.baselines.max_slowdown

    def measurement(self, how: How, changes: Sequence[str] = (), obstacle: str = "") -> BaselineMeasurement:
        """Return a measurement that holds no figures yet."""
        assert self.context.baselines.against is not None
        name = self.context.baselines.against.name
        return BaselineMeasurement(name, how, self.limit, tuple(changes), obstacle=obstacle)

    def note(self, text: str) -> None:
        """Say why there is no verdict."""
        assert self.context.baselines.against is not None
        name = self.context.baselines.against.name
        self.context.builder.say(f'{self.evaluation.backend.name}: not held to baseline "{name}": {text}')


def _saved(baseline: Baseline, workload: Workload, evaluation: Evaluation) -> SavedResult | None:
    inputs = inputs_signature(workload.sample.inputs)
    timed_before = BaselineKey(evaluation.test, evaluation.label, evaluation.backend.name, workload.label, inputs)
    return baseline.results.get(timed_before)


def _note_another_machine(comparison: BaselineComparison, context: EvaluationContext) -> None:
    here, baseline = this_machine(), comparison.baseline
    if comparison.on_another_cpu or baseline.isa != here.isa:
        context.builder.say(
            f'baseline "{baseline.name}" was saved on {baseline.cpu} ({" ".join(baseline.isa)}), this is {here.cpu} '
            f"({' '.join(here.isa)}): times are not compared"
        )


def _judged(measurement: BaselineMeasurement, subject: _Subject) -> Verdict:
    """The verdict. Before a FAIL, fresh builds confirm a ratio, and a self-check shows that the machine is fit."""
    budget = LatencyBudget(max_slowdown=subject.context.baselines.max_slowdown)
    verdict = judge_baseline(measurement, budget)
    found = measurement.by_ratio
    if verdict.outcome is Outcome.FAIL and found is not None:
        confirmed = _repeated(subject, subject.limit * found.then.high)
        measurement = replace(measurement, by_ratio=replace(found, confirmed=confirmed))
        verdict = judge_baseline(measurement, budget)
    if verdict.outcome is not Outcome.FAIL:
        return verdict
    return judge_baseline(self_checked(measurement, subject.call, subject.evaluation, subject.context), budget)


def _by_ratio(comparison: BaselineComparison, subject: _Subject, changes: Sequence[str]) -> BaselineMeasurement | None:
    if obstacle := comparison.why_no_ratio():
        subject.note(obstacle)
        return None
    return replace(subject.measurement("ratio", changes), by_ratio=comparison.by_ratio())


def _repeated(subject: _Subject, limit: float) -> bool:
    """Tell whether fresh builds show the ratio to be above ``limit`` too: builds of one model differ."""
    context = subject.context
    with contextlib.ExitStack() as opened, context.alone(), torch.no_grad():
        rebuild = partial(fresh_sides, subject.call, subject.evaluation, context, opened)
        return race(rebuild(), limit=limit, rebuild=rebuild, config=context.race).shown is Shown.ABOVE


def _by_artifact(comparison: BaselineComparison, subject: _Subject, artifact: Path) -> BaselineMeasurement | None:
    """A race against the old artifact, unless it is the new one: a race of equals tells nothing."""
    builder, changes = subject.context.builder, comparison.changes()
    if fault := builder.store.fault_of(artifact):
        return subject.measurement("race", obstacle=f"{fault}: {artifact}; save the baseline anew")
    with builder.artifact(subject.evaluation.request(subject.call)) as folder:
        assert folder is not None
        before, today = manifest_of(artifact), manifest_of(folder)
    if before.key.get("options") != today.key.get("options"):
        changes.append(f"options {before.key.get('options')} -> {today.key.get('options')}")
    if before.key.get("backend_code") != today.key.get("backend_code"):
        changes.append("the code of the backend")
    if before.files == today.files:
        return _by_ratio(comparison, subject, changes) if changes else subject.measurement("unchanged")
    if comparison.latency.race is None:
        subject.note("its calls are too slow to race")
        return None
    if lacking := comparison.lacking_instructions:
        subject.note(f"its artifact was made for a CPU with {' '.join(lacking)}, which this one lacks")
        return None
    if before.key.get("model") != today.key.get("model"):
        changes.append("the model or its weights")
    return _raced(subject, artifact, changes)


def _raced(subject: _Subject, artifact: Path, changes: Sequence[str]) -> BaselineMeasurement:
    context, call = subject.context, subject.call
    with contextlib.ExitStack() as opened, torch.no_grad():
        try:
            with upstream.contained():
                reference = _loaded(subject, artifact, opened)
                reference.call()
        except CpuaccelError as refusal:
            return subject.measurement("race", changes, obstacle=f"does not run here: {refusal}")
        candidate = LocalSide(timed(context.builder.built(subject.evaluation.request(call)), call))
        rebuild = partial(_rebuilt, subject, artifact, opened)
        with context.alone():
            found = race(Sides(candidate, reference), limit=subject.limit, rebuild=rebuild, config=context.race)
    return replace(subject.measurement("race", changes), race=found)


def _loaded(subject: _Subject, artifact: Path, opened: contextlib.ExitStack) -> LocalSide:
    built = subject.context.builder.build_from(artifact, subject.evaluation.request(subject.call))
    opened.callback(built.close)
    return LocalSide(timed(built, subject.call))


def _rebuilt(subject: _Subject, artifact: Path, opened: contextlib.ExitStack) -> Sides:
    evaluation = subject.evaluation
    candidate = fresh(evaluation.model, evaluation.backend, subject.call, subject.context, opened)
    return Sides(LocalSide(timed(candidate, subject.call)), _loaded(subject, artifact, opened))
