"""Chances of a wrong FAIL: how many a test has, and what each may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_cpuaccel.judge.baseline_settings import Ledger
from pytest_cpuaccel.judge.context import Court
from pytest_cpuaccel.judge.evaluation import Trial
from pytest_cpuaccel.recording.workload import workloads


def sharing(court: Court, trials: Sequence[Trial]) -> Court:
    """Return a court that fails the test behind these trials wrongly with probability ``alpha_fail`` at most, by time.

    Any one verdict fails a test, so they share it (Bonferroni's inequality, which asks for no independence). A test
    passes only if all of them do, so ``alpha_pass`` stands for each.
    """
    race = replace(court.race, alpha_fail=court.race.alpha_fail / max(1, chances(trials, court.ledger)))
    return replace(court, race=race)


def chances(trials: Sequence[Trial], ledger: Ledger) -> int:
    """Return how many limits may be broken: each budget of each workload of each model, and each race of a baseline."""
    against_baseline = ledger.against is not None
    return sum(
        len(workloads(trial.calls)) * (trial.budgets.latency.promises + against_baseline)
        for trial in trials
        if trial.budgets.latency is not None
    )
