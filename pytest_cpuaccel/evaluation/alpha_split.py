"""The probability of a wrong FAIL, divided among all that may fail a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_cpuaccel.baselines.settings import BaselineSettings
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.recording.workload import workloads


def sharing(context: EvaluationContext, evaluations: Sequence[Evaluation]) -> EvaluationContext:
    """Return a context whose ``alpha_above`` is divided among all latency limits of the test (Bonferroni).

    Any one verdict fails a test, so they share the probability of a wrong FAIL. The inequality asks for no
    independence. A test passes only if all of them pass, so each keeps the whole ``alpha_below``.
    """
    race = replace(context.race, alpha_above=context.race.alpha_above / max(1, chances(evaluations, context.baselines)))
    return replace(context, race=race)


def chances(evaluations: Sequence[Evaluation], baselines: BaselineSettings) -> int:
    """Return how many limits may be broken: each budget of each workload of each model, and each race of a baseline."""
    against_baseline = baselines.against is not None
    return sum(
        len(workloads(evaluation.calls)) * (evaluation.budgets.latency.promises + against_baseline)
        for evaluation in evaluations
        if evaluation.budgets.latency is not None
    )
