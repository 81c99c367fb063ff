"""The judge: holds a trial to its budgets, parity first, because a wrong answer has no speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.core.budget import LatencyBudget, ParityBudget
from pytest_cpuaccel.core.errors import BusyError
from pytest_cpuaccel.core.finding import Finding
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.judge.baseline import judge_baseline
from pytest_cpuaccel.judge.chances import sharing
from pytest_cpuaccel.judge.context import Court
from pytest_cpuaccel.judge.evaluation import Trial
from pytest_cpuaccel.judge.latency import judge_latency
from pytest_cpuaccel.judge.memory import judge_memory
from pytest_cpuaccel.judge.noise_check import with_fitness
from pytest_cpuaccel.judge.parity import Comparisons, judge_parity
from pytest_cpuaccel.judge.ratio import lengthened
from pytest_cpuaccel.judge.saved_artifact import with_keepsake
from pytest_cpuaccel.judge.startup import judge_startup
from pytest_cpuaccel.measure.accuracy import judge_accuracy
from pytest_cpuaccel.recording.workload import Workload, workloads


def judge_test(trials: Sequence[Trial], court: Court) -> Iterator[Finding]:
    """Yield what was found about the trials of one test, one workload after the other, as it is found.

    However much it runs, it leaves the process as it was.

    Raises:
        EagerError: a reference is unfit.
        BuildError: a build for timing failed.
    """
    with process_kept(court.workshop.threads):
        for trial in trials:
            yield from _judge(trial, sharing(court, trials))


def judge(trial: Trial, court: Court) -> Iterator[Finding]:
    """Yield what was found about the only trial of a test, as :func:`judge_test` does."""
    return judge_test([trial], court)


def _judge(trial: Trial, court: Court) -> Iterator[Finding]:
    if trial.budgets.accuracy is not None:
        yield _finding(trial, f"score_items x{len(trial.scores.actual)}", _accuracy(trial))
    groups = workloads(trial.calls)
    if not groups and (trial.budgets.parity or trial.budgets.of_performance):
        yield _finding(trial, "no call", *_nothing_called(trial))
    comparisons = Comparisons(trial, trial.budgets.parity or ParityBudget(), court)
    for workload in groups:
        verdicts = tuple(_verdicts(workload, trial, court, comparisons))
        if verdicts:
            yield _finding(trial, workload.label, *verdicts)
    if comparisons.is_stale:
        court.workshop.discard(trial.model, trial.backend)


def _verdicts(workload: Workload, trial: Trial, court: Court, comparisons: Comparisons) -> Iterator[Verdict]:
    budgets = trial.budgets
    if budgets.parity is not None:
        verdict = judge_parity(workload, comparisons)
        if (verdict.outcome is Outcome.FAIL or comparisons.is_stale) and budgets.of_performance:
            yield replace(verdict, facts={**verdict.facts, "withholds": " ".join(budgets.of_performance)})
            return
        yield verdict
    if budgets.latency is not None:
        yield from _unless_busy("latency", workload, trial, _latency(workload, trial, budgets.latency, court))
    if budgets.startup is not None:
        yield judge_startup(workload, trial, budgets.startup, court)
    if budgets.memory is not None:
        yield judge_memory(workload, trial, budgets.memory, court)


def _latency(workload: Workload, trial: Trial, budget: LatencyBudget, court: Court) -> Iterator[Verdict]:
    config = court.race
    latency = judge_latency(workload, trial, budget, court, lengthened(config, trial, court.ledger))
    latency = with_fitness(latency, workload.sample, trial, budget, court, config)
    yield with_keepsake(latency, workload, trial, court)
    baseline = judge_baseline(workload, trial, latency, court, config)
    yield from _unless_busy("baseline", workload, trial, baseline)


def _unless_busy(kind: Kind, workload: Workload, trial: Trial, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """The verdicts; INCONCLUSIVE where the machine did not become free to measure for them."""
    try:
        yield from verdicts
    except BusyError as busy:
        sentence = f"{trial.backend.name}: {workload.label}: not measured, because {busy}"
        yield Verdict(kind, Outcome.INCONCLUSIVE, sentence)


def _accuracy(trial: Trial) -> Verdict:
    if trial.budgets.accuracy is None or not trial.scores.actual:
        sentence = f"{trial.backend.name}: nothing was scored; call score_items(fn, items) in the test"
        return Verdict("accuracy", Outcome.FAIL, sentence)
    result = judge_accuracy(trial.scores.actual, trial.scores.expected, trial.budgets.accuracy)
    return Verdict(
        "accuracy",
        result.outcome,
        f"{trial.backend.name}: {result.sentence}",
        {**result.facts, "figure": result.figure},
    )


def _nothing_called(trial: Trial) -> Iterator[Verdict]:
    raised = f"{trial.raised} call{'s' * (trial.raised > 1)} raised and none returned"
    what = raised if trial.raised else "the test never called the model"
    sentence = f"{trial.backend.name}: {what}, so there is nothing to judge"
    if trial.budgets.parity is not None:
        yield Verdict("parity", Outcome.FAIL, sentence)
    if trial.budgets.latency is not None:
        yield Verdict("latency", Outcome.FAIL, sentence)
    if trial.budgets.startup is not None:
        yield Verdict("startup", Outcome.FAIL, sentence)
    if trial.budgets.memory is not None:
        yield Verdict("memory", Outcome.FAIL, sentence)


def _finding(trial: Trial, call: str, *verdicts: Verdict) -> Finding:
    return Finding(trial.label, trial.backend.name, call, verdicts)
