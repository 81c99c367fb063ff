"""The evaluation of a test: its calls are judged by its budgets, parity first, because a wrong answer has no speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_cpuaccel.baselines.saved_artifact import with_saved_artifact
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.core.budget import LatencyBudget, ParityBudget
from pytest_cpuaccel.core.errors import BuildError, BusyError
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.evaluation.alpha_split import sharing
from pytest_cpuaccel.evaluation.baseline import evaluate_baseline, lengthened
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.failure import Failure
from pytest_cpuaccel.evaluation.latency import evaluate_latency
from pytest_cpuaccel.evaluation.memory import evaluate_memory
from pytest_cpuaccel.evaluation.parity import evaluate_parity
from pytest_cpuaccel.evaluation.startup import evaluate_startup
from pytest_cpuaccel.evaluation.workload_kernels import WorkloadKernels
from pytest_cpuaccel.judge.accuracy import judge_accuracy
from pytest_cpuaccel.judge.parity.workload import withholding
from pytest_cpuaccel.judge.promise import ALPHA
from pytest_cpuaccel.recording.workload import Workload, workloads


def evaluate_test(evaluations: Sequence[Evaluation], context: EvaluationContext) -> Iterator[Result]:
    """Yield the results of one test's evaluations, one workload after the other, as soon as each is complete.

    The process's state is restored at the end.

    Raises:
        EagerError: a model can't be a reference.
        BuildError: a build for timing failed.
    """
    with process_kept(context.builder.threads):
        for evaluation in evaluations:
            yield from _judge(evaluation, sharing(context, evaluations))


def evaluate(evaluation: Evaluation, context: EvaluationContext) -> Iterator[Result]:
    """Yield what was found about the only evaluation of a test, as :func:`evaluate_test` does."""
    return evaluate_test([evaluation], context)


def _judge(evaluation: Evaluation, context: EvaluationContext) -> Iterator[Result]:
    if evaluation.budgets.accuracy is not None:
        scored = _result(evaluation, f"score_items x{evaluation.scores.given}", _accuracy(evaluation))
        yield _kept(Failure(scored, Comparer(evaluation, ParityBudget(), context)))
    groups = workloads(evaluation.calls)
    budgets = evaluation.budgets
    if not groups and (budgets.parity or budgets.kernels or budgets.of_performance):
        yield _result(evaluation, "no call", *_nothing_called(evaluation))
    budget = context.tolerances.budget(budgets.parity or ParityBudget(), evaluation)
    comparisons = Comparisons(evaluation, budget, context)
    for workload in groups:
        kernels = WorkloadKernels(workload, evaluation, context)
        verdicts, refusal = _until_refused(_verdicts(kernels, comparisons))
        if verdicts:
            found = _result(evaluation, workload.label, *verdicts)
            counted = found if comparisons.is_stale else replace(found, kernels=kernels.reported)
            yield _kept(_shown(counted, workload, comparisons))
        if refusal is not None:
            raise refusal
    if comparisons.is_stale:
        context.builder.discard(evaluation.model, evaluation.backend)


def _shown(result: Result, workload: Workload, comparisons: Comparisons) -> Failure:
    """What a result would be as a failure."""
    if comparisons.state and workload.sample.method == "forward":
        return Failure(result, comparisons.comparer, comparisons.in_order, comparisons.state)
    return Failure(result, comparisons.comparer, (comparisons.failing or workload.sample,))


def _kept(failure: Failure) -> Result:
    """The result; where it fails, with notes of whoever keeps failures."""
    result = failure.result
    failing = next((verdict for verdict in result.verdicts if verdict.outcome is Outcome.FAIL), None)
    if failing is None:
        return result
    notes = failure.comparer.context.keep(failure)
    told = replace(failing, notes=(*failing.notes, *notes))
    return replace(result, verdicts=tuple(told if verdict is failing else verdict for verdict in result.verdicts))


def _until_refused(verdicts: Iterator[Verdict]) -> tuple[list[Verdict], BuildError | None]:
    """The verdicts, and the error that ended them: what was found before it counts."""
    found: list[Verdict] = []
    try:
        for verdict in verdicts:
            found.append(verdict)  # noqa: PERF402
    except BuildError as error:
        return found, error
    return found, None


def _verdicts(kernels: WorkloadKernels, comparisons: Comparisons) -> Iterator[Verdict]:
    workload, evaluation, context = kernels.workload, kernels.evaluation, kernels.context
    budgets = evaluation.budgets
    is_wrong = False
    if budgets.parity is not None:
        verdict = evaluate_parity(workload, comparisons)
        if not comparisons.is_stale:
            verdict = kernels.holding_claim(verdict)
            if context.tolerances.is_asked:
                context.tolerances.note(evaluation, workload.sample.method, comparisons.of(workload.calls), verdict)
        is_wrong = verdict.outcome is Outcome.FAIL or comparisons.is_stale
        withheld = budgets.of_performance if is_wrong else []
        yield withholding(verdict, withheld) if withheld else verdict
    if budgets.kernels is not None:
        yield kernels.judged(budgets.kernels)
    if context.against is not None and (budgets.parity is not None or budgets.of_performance):
        found = context.against.verdicts(workload, evaluation, comparisons)
        yield from _unless_busy("environment", workload, evaluation, found)
    if is_wrong:
        return
    if budgets.latency is not None:
        yield from _unless_busy("latency", workload, evaluation, _latency(kernels, budgets.latency))
    if budgets.startup is not None:
        yield from _if_any(evaluate_startup(workload, evaluation, budgets.startup, context))
    if budgets.memory is not None:
        yield from _if_any(evaluate_memory(workload, evaluation, budgets.memory, context))


def _if_any(verdict: Verdict | None) -> Iterator[Verdict]:
    if verdict is not None:
        yield verdict


def _latency(kernels: WorkloadKernels, budget: LatencyBudget) -> Iterator[Verdict]:
    workload, evaluation, context = kernels.workload, kernels.evaluation, kernels.context
    config = lengthened(context.race, evaluation, context.baselines)
    verdict = evaluate_latency(workload, evaluation, budget, context, config)
    latency = verdict.measurement
    assert isinstance(latency, LatencyMeasurement)
    request, builder = evaluation.request(workload.sample), context.builder
    verdict = replace(verdict, measurement=with_saved_artifact(latency, request, builder, context.baselines.shelf))
    yield kernels.beside_latency(verdict)
    baseline = evaluate_baseline(kernels, latency)
    yield from _unless_busy("baseline", workload, evaluation, baseline)


def _unless_busy(
    kind: Kind, workload: Workload, evaluation: Evaluation, verdicts: Iterator[Verdict]
) -> Iterator[Verdict]:
    """The verdicts; INCONCLUSIVE where the machine did not become free to measure for them."""
    try:
        yield from verdicts
    except BusyError as busy:
        sentence = f"{evaluation.backend.name}: {workload.label}: not measured, because {busy}"
        yield Verdict(kind, Outcome.INCONCLUSIVE, sentence)


def _accuracy(evaluation: Evaluation) -> Verdict:
    if evaluation.budgets.accuracy is None or not evaluation.scores.given:
        sentence = f"{evaluation.backend.name}: nothing was scored; call score_items(fn, items) in the test"
        return Verdict("accuracy", Outcome.FAIL, sentence)
    scores, name = evaluation.scores, evaluation.backend.name
    return judge_accuracy(scores.measured(), evaluation.budgets.accuracy, name, scores.alpha or ALPHA)


def _nothing_called(evaluation: Evaluation) -> Iterator[Verdict]:
    raised = f"{evaluation.raised} call{'s' * (evaluation.raised > 1)} raised and none returned"
    what = raised if evaluation.raised else "the test never called the model"
    name = evaluation.backend.name
    why = f": {str(evaluation.errors[0]).removeprefix(f'{name}: ')}" if evaluation.errors else ""
    sentence = f"{name}: {what}, so there is nothing to judge{why}"
    if evaluation.budgets.parity is not None:
        yield Verdict("parity", Outcome.FAIL, sentence)
    if evaluation.budgets.latency is not None:
        yield Verdict("latency", Outcome.FAIL, sentence)
    if evaluation.budgets.startup is not None:
        yield Verdict("startup", Outcome.FAIL, sentence)
    if evaluation.budgets.memory is not None:
        yield Verdict("memory", Outcome.FAIL, sentence)
    if evaluation.budgets.kernels is not None:
        yield Verdict("kernels", Outcome.FAIL, sentence)


def _result(evaluation: Evaluation, call: str, *verdicts: Verdict) -> Result:
    return Result(evaluation.label, evaluation.backend.name, call, verdicts)
