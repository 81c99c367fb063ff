"""The judge: holds a trial to its budgets, parity first, because a wrong answer has no speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_cpuaccel.core.finding import Finding
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.court import Court
from pytest_cpuaccel.judge.latency import judge_latency
from pytest_cpuaccel.judge.parity import judge_parity
from pytest_cpuaccel.judge.trial import Trial
from pytest_cpuaccel.judge.workload import Workload, workloads
from pytest_cpuaccel.measure.accuracy import judge_accuracy


def judge(trial: Trial, court: Court) -> Iterator[Finding]:
    """Yield what was found about a trial, one workload after the other, as it is found.

    Raises:
        EagerError: the reference is unfit.
        BuildError: a build for timing failed.
    """
    if trial.budgets.accuracy is not None:
        yield _finding(trial, f"score_items x{len(trial.scores.actual)}", _accuracy(trial))
    groups = workloads(trial.calls)
    if not groups and (trial.budgets.parity or trial.budgets.latency):
        yield _finding(trial, "no call", *_nothing_called(trial))
    for workload in groups:
        verdicts = tuple(_verdicts(workload, trial, court, of=len(groups)))
        if verdicts:
            yield _finding(trial, workload.label, *verdicts)


def _verdicts(workload: Workload, trial: Trial, court: Court, of: int) -> Iterator[Verdict]:
    budgets = trial.budgets
    if budgets.parity is not None:
        parity = judge_parity(workload, trial, budgets.parity, court)
        if parity.outcome is Outcome.FAIL and budgets.latency is not None:
            yield replace(parity, facts={**parity.facts, "withholds": "latency"})
            return
        yield parity
    if budgets.latency is not None:
        config = replace(court.race, alpha_fail=court.race.alpha_fail / of, alpha_pass=court.race.alpha_pass / of)
        yield judge_latency(workload, trial, budgets.latency, court, config)


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
    sentence = f"{trial.backend.name}: the test never called the model, so there is nothing to judge"
    if trial.budgets.parity is not None:
        yield Verdict("parity", Outcome.FAIL, sentence)
    if trial.budgets.latency is not None:
        yield Verdict("latency", Outcome.FAIL, sentence)


def _finding(trial: Trial, call: str, *verdicts: Verdict) -> Finding:
    return Finding(trial.label, trial.backend.name, call, verdicts)
