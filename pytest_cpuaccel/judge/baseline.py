"""The verdict on a workload against a baseline: its old artifact is raced or, where there is none, ratios compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.artifact_store import manifest_of
from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core.baseline import Timed
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.baseline_comparison import Case
from pytest_cpuaccel.judge.context import Court
from pytest_cpuaccel.judge.evaluation import Trial
from pytest_cpuaccel.judge.latency import fresh, timed
from pytest_cpuaccel.judge.noise_check import with_fitness
from pytest_cpuaccel.judge.ratio import judge_by_ratio
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.recording.workload import Workload


def judge_baseline(
    workload: Workload, trial: Trial, latency: Verdict, court: Court, config: RaceConfig
) -> Iterator[Verdict]:
    """Yield the verdict on a workload against the run's baseline; none where nothing can be compared, but a note."""
    baseline = court.ledger.against
    if baseline is None:
        return
    name, inputs = trial.backend.name, inputs_signature(workload.sample.inputs)
    result = baseline.results.get(Timed(trial.test, trial.label, name, workload.label, inputs))
    if result is None:
        court.workshop.say(f'baseline "{baseline.name}" has no {workload.label} of {trial.test}; --cpu-save makes one')
        return
    case = Case(workload, trial, latency, court, config, baseline, result)
    _note_another_machine(case)
    if result.artifact is not None and trial.backend.exports_model:
        verdict = _by_artifact(case, result.artifact)
    else:
        verdict = judge_by_ratio(case, case.changes())
    if verdict is not None:
        allowed = LatencyBudget(max_slowdown=court.ledger.max_slowdown)
        yield with_fitness(verdict, workload.sample, trial, allowed, court, config)


def _note_another_machine(case: Case) -> None:
    here, baseline = this_machine(), case.baseline
    if case.on_another_cpu or baseline.isa != here.isa:
        case.court.workshop.say(
            f'baseline "{baseline.name}" was saved on {baseline.cpu} ({" ".join(baseline.isa)}), this is {here.cpu} '
            f"({' '.join(here.isa)}): times are not compared"
        )


def _by_artifact(case: Case, artifact: Path) -> Verdict | None:
    """A race against the old artifact, unless it is the new one: a race of equals tells nothing."""
    name, changes = case.baseline.name, case.changes()
    if fault := case.court.workshop.store.fault_of(artifact):
        found = f'the artifact of baseline "{name}" {fault}: {artifact}; save the baseline anew'
        return case.verdict(Outcome.INCONCLUSIVE, found, "race")
    trial, call = case.trial, case.call
    with case.court.workshop.artifact(trial.model, trial.backend, call.method, call.inputs) as folder:
        assert folder is not None
        before, today = manifest_of(artifact), manifest_of(folder)
    if before.key.get("options") != today.key.get("options"):
        changes.append(f"options {before.key.get('options')} -> {today.key.get('options')}")
    if before.key.get("backend_code") != today.key.get("backend_code"):
        changes.append("the code of the backend")
    if before.files == today.files:
        return judge_by_ratio(case, changes) if changes else _unchanged(case)
    if case.ratio is None:
        case.note("its calls are too slow to race")
        return None
    if lacking := [name for name in case.baseline.isa if name not in this_machine().isa]:
        case.note(f"its artifact was made for a CPU with {' '.join(lacking)}, which this one lacks")
        return None
    if before.key.get("model") != today.key.get("model"):
        changes.append("the model or its weights")
    return _raced(case, artifact, changes)


def _unchanged(case: Case) -> Verdict:
    found = f'artifact, versions and threads are those of baseline "{case.baseline.name}", so there is nothing to race'
    return case.verdict(Outcome.PASS, found, "unchanged", figure="unchanged")


def _raced(case: Case, artifact: Path, changes: Sequence[str]) -> Verdict:
    with contextlib.ExitStack() as opened, torch.no_grad():
        try:
            with upstream.contained():
                reference = _loaded(case, artifact, opened)
                reference()
        except CpuaccelError as refusal:
            found = f'the artifact of baseline "{case.baseline.name}" does not run here: {refusal}'
            return case.verdict(Outcome.INCONCLUSIVE, found, "race", changes)
        trial, call = case.trial, case.call
        candidate = timed(case.court.workshop.built(trial.model, trial.backend, call.method, call.inputs), call)
        rebuild = partial(_rebuilt, case, artifact, opened)
        with case.court.alone():
            result = race(Sides(candidate, reference), limit=case.limit, rebuild=rebuild, config=case.config)
    ratio = Estimate(result.ratio, *result.interval)
    found = (
        f"{case.as_long(ratio)}, p50 {format_duration(result.p50_ns)} against "
        f"{format_duration(result.reference_p50_ns)}"
    )
    outcome = result.outcome or Outcome.INCONCLUSIVE
    if outcome is Outcome.INCONCLUSIVE:
        found = f"{found}; {result.reason}"
    return case.verdict(outcome, found, "race", changes, **result.facts(), figure=f"{ratio} as long")


def _loaded(case: Case, artifact: Path, opened: contextlib.ExitStack) -> Callable[[], object]:
    trial, call = case.trial, case.call
    built = case.court.workshop.build_from(artifact, trial.model, trial.backend, call.method, call.inputs)
    opened.callback(built.close)
    return timed(built, call)


def _rebuilt(case: Case, artifact: Path, opened: contextlib.ExitStack) -> Sides:
    candidate = fresh(case.trial.model, case.trial.backend, case.call, case.court, opened)
    return Sides(timed(candidate, case.call), _loaded(case, artifact, opened))
