"""A verdict made again from what a bundle recorded, without the model."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.bundles.bundle import Bundle, RecordedCall
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.accuracy import judge_accuracy
from pytest_cpuaccel.judge.kernels import judge_kernels
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.judge.parity.workload import shown_of, workload_verdict
from pytest_cpuaccel.measure.accuracy import compare_scores
from pytest_cpuaccel.measure.parity.references import References

KEPT_ELSEWHERE: Mapping[Kind, str] = {
    "accuracy": "the scores were given by the test's own function, which is not in a bundle",
    "baseline": "the saved artifact that it was raced against is not in a bundle",
}
"""What neither a bundle nor a model tells."""


def judged_as_recorded(bundle: Bundle, kind: Kind) -> Verdict | str:
    """Return the verdict of a kind on what was recorded, or why there can be none.

    Raises:
        UsageError: scores or answers that nobody can judge.
    """
    if kind == "parity" and bundle.calls:
        return _parity(bundle)
    if kind == "accuracy" and bundle.is_scored and bundle.budgets.accuracy is not None:
        return judge_accuracy(_measured(bundle), bundle.budgets.accuracy, bundle.backend)
    if kind == "kernels" and bundle.kernels is not None and bundle.budgets.kernels is not None:
        return judge_kernels(bundle.kernels, bundle.budgets.kernels, f"{bundle.backend}: {bundle.label}")
    return KEPT_ELSEWHERE.get(kind, "it takes the model: give --model")


def _measured(bundle: Bundle) -> AccuracyMeasurement:
    metric, scores = bundle.metric, bundle.scores
    if metric is not None:
        drop = metric.eager_score - metric.score
        return AccuracyMeasurement(metric.items, metric.score, metric.eager_score, drop, scores, metric=metric.name)
    assert scores is not None
    return compare_scores(scores.actual, scores.expected)


def _parity(bundle: Bundle) -> Verdict | str:
    if bundle.generates:
        return "a verdict on generate() takes the model's logits: give --model"
    found = workload_verdict(
        f"{bundle.backend}: {bundle.label}", [shown_of([_comparison(bundle, call) for call in bundle.calls])]
    )
    recorded = bundle.verdict("parity")
    by_kernels = bundle.kernels is not None and recorded is not None and recorded.outcome is Outcome.FAIL
    if by_kernels and found.outcome is Outcome.PASS:
        return "the recorded answers agree, so that it hangs on more than these: give --model"
    return found


def _comparison(bundle: Bundle, call: RecordedCall) -> Comparison:
    answers, budget = call.answers, bundle.budgets.parity or ParityBudget()
    references = References(answers.expected, answers.expected64, answers.rounding)
    return compare(answers.actual, references, call.inputs, Terms(budget, bundle.precision))
