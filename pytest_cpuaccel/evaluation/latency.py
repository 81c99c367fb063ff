"""The latency of a workload: timed, measured and judged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildFailureError, CpuaccelError, UsageError
from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.limits import checked_limits
from pytest_cpuaccel.evaluation.self_check import self_checked
from pytest_cpuaccel.evaluation.threads import check_threads
from pytest_cpuaccel.evaluation.timed_models import fresh_sides, sides_in_use, timed
from pytest_cpuaccel.evaluation.tokens import check_heard, heard_by
from pytest_cpuaccel.judge.latency import judge_latency
from pytest_cpuaccel.judge.ratio_limit import ratio_limit
from pytest_cpuaccel.measure.latency.call_times import Read, read_latency
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.feasibility import Reach
from pytest_cpuaccel.measure.latency.percentile import measure_percentiles
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.side import Side
from pytest_cpuaccel.measure.latency.tokens import TokenClock
from pytest_cpuaccel.recording.workload import Workload

Found = TypeVar("Found")


def evaluate_latency(
    workload: Workload, evaluation: Evaluation, budget: LatencyBudget, context: EvaluationContext, config: RaceConfig
) -> Verdict:
    """Return the verdict on a workload's ratio and limits; each may be called broken wrongly with ``alpha_above``.

    Raises:
        UsageError: a budget that this call can't be held to.
        BuildError: a build for timing failed, or raises.
        BusyError: the machine did not become free.
    """
    measurement = measure_latency(workload, evaluation, budget, context, config)
    verdict = judge_latency(measurement, budget)
    if verdict.outcome is Outcome.FAIL:
        verdict = judge_latency(self_checked(measurement, workload.sample, evaluation, context), budget)
    return replace(verdict, sentence=f"{evaluation.backend.name}: {workload.label}: {verdict.sentence}")


def measure_latency(
    workload: Workload, evaluation: Evaluation, budget: LatencyBudget, context: EvaluationContext, config: RaceConfig
) -> LatencyMeasurement:
    """Measure what ``budget`` asks for.

    The bare backend call is timed, with equal threads on both sides, while nothing else runs on this machine. What
    calls are too slow for is not begun: both sides are called once, and that says whether a verdict is within reach.
    """
    limits = checked_limits(budget, workload, evaluation.model)
    _check_opponent(budget, evaluation)
    with context.alone(), torch.no_grad(), contextlib.ExitStack() as opened:
        for model in (evaluation.model, evaluation.reference):
            opened.enter_context(untouched(model))
        sides = sides_in_use(workload.sample, evaluation, context, opened)
        read = _read(sides.candidate, workload.sample, limits, evaluation, context)
        first = _first(read, evaluation.backend)
        check_heard(limits, first, workload)
        reach = Reach(first["latency"], 0, config)
        if reach.holds_a_pair:
            reach = replace(reach, reference_ns=_first(sides.reference.call_ns, evaluation.versus))
        rebuild = partial(fresh_sides, workload.sample, evaluation, context, opened)
        allowed = ratio_limit(budget)
        asks_for_race = allowed is not None or not (limits or reach.holds_a_pair)
        race_too_slow = reach.no_race if asks_for_race else None
        limits_too_slow = reach.no_percentiles(limits) if limits else None
        without_kv_cache = _without_kv_cache(workload.sample, evaluation, context)
        ours, theirs, found = None, None, None
        if reach.holds_a_pair and race_too_slow is None:
            ours, theirs = check_threads(sides, evaluation, config.threads)
            found = race(sides, limit=allowed, rebuild=rebuild, config=config)
        percentiles = measure_percentiles(read, limits, config) if limits and limits_too_slow is None else None
    return LatencyMeasurement(
        vs=budget.vs,
        race=found,
        percentiles=percentiles,
        race_too_slow=race_too_slow,
        limits_too_slow=limits_too_slow,
        threads_used=ours,
        reference_threads_used=theirs,
        without_kv_cache=without_kv_cache,
    )


def _without_kv_cache(call: Call, evaluation: Evaluation, context: EvaluationContext) -> str | None:
    """Why a build's ``generate()`` runs the whole text at every step; None where it does not, as eager's."""
    if call.method != "generate":
        return None
    facts = context.builder.built(evaluation.request(call)).facts
    return None if facts.get("kv_cache", True) else str(facts.get("without_kv_cache", ""))


def _check_opponent(budget: LatencyBudget, evaluation: Evaluation) -> None:
    """Nothing is faster than itself. That it is no slower is worth a race: it shows what the machine can tell."""
    itself = evaluation.backend.name == evaluation.versus.name and not evaluation.is_of_candidate
    if itself and budget.speedup is not None and budget.speedup > 1:
        name = evaluation.backend.name
        raise UsageError(
            f"latency_budget(speedup={budget.speedup:g}): {name} would race itself; leave it out by "
            f'speedup={{"{name}": None, "*": {budget.speedup:g}}}, or name another backend in vs='
        )


def _read(
    candidate: Side, call: Call, limits: Mapping[str, Limit], evaluation: Evaluation, context: EvaluationContext
) -> Read:
    if all(limit.quantity == "latency" for limit in limits.values()):
        return partial(read_latency, candidate)
    clock = TokenClock()
    built = context.builder.built(evaluation.request(call))
    return partial(clock.read, timed(built, heard_by(clock, call)))


def _first(read: Callable[[], Found], backend: Backend) -> Found:
    """The first reading, which also shows that the call can be made again."""
    try:
        return read()
    except CpuaccelError:
        raise
    except Exception as error:
        raise BuildFailureError(f"{backend.name}: raises when its latency is taken: {reason(error)}") from error
