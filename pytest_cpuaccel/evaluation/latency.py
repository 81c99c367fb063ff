"""The latency verdict on a workload: its ratio to another backend, its percentiles, throughput and tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Scalar
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, UsageError
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.evaluation.limits import limits_of
from pytest_cpuaccel.evaluation.threads import check_threads
from pytest_cpuaccel.evaluation.tokens import check_heard, heard_by
from pytest_cpuaccel.judge.partial_verdict import Part, verdict
from pytest_cpuaccel.measure.latency.call_times import Read, Reading, read_latency
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.feasibility import Reach
from pytest_cpuaccel.measure.latency.limit import Limit
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.percentile import hold_percentiles
from pytest_cpuaccel.measure.latency.race import Race, race
from pytest_cpuaccel.measure.latency.tokens import TokenClock
from pytest_cpuaccel.recording.workload import Workload


def judge_latency(
    workload: Workload, evaluation: Evaluation, budget: LatencyBudget, context: EvaluationContext, config: RaceConfig
) -> Verdict:
    """Return the verdict on a workload's ratio and limits, the worst of its parts.

    Each part may be called broken wrongly with probability ``config.alpha_fail``. The bare backend call is timed, with
    equal threads on both sides, while nothing else runs on this machine. What calls are too slow for is not begun: both
    sides are called once, and that says whether a verdict is within reach.

    Raises:
        UsageError: a budget that this call can't be held to.
        BuildError: a build for timing failed, or raises.
    """
    limits = limits_of(budget, workload, evaluation.model)
    _check_opponent(budget, evaluation)
    with context.alone(), torch.no_grad(), contextlib.ExitStack() as opened:
        for model in (evaluation.model, evaluation.reference):
            opened.enter_context(untouched(model))
        sides = _sides(workload.sample, evaluation, context, opened)
        read = _read(sides.candidate, workload.sample, limits, evaluation, context)
        first = _first(read, evaluation.backend)
        check_heard(limits, first, workload)
        reach = Reach(first["latency"], 0, config)
        if reach.holds_a_pair:
            against = _first(partial(read_latency, sides.reference), evaluation.versus)
            reach = replace(reach, reference_ns=against["latency"])
        rebuild = partial(fresh_sides, workload.sample, evaluation, context, opened)
        parts = [
            Part(None, "", facts={"vs": budget.vs, **_caching(workload.sample, evaluation, context)}),
            *_of_ratio(sides, evaluation, budget, reach, rebuild),
            *_of_limits(read, limits, reach),
        ]
    return verdict("latency", f"{evaluation.backend.name}: {workload.label}", parts)


def _caching(call: Call, evaluation: Evaluation, context: EvaluationContext) -> dict[str, Scalar]:
    """What a build's ``generate()`` lacks where it runs the whole text at every step, which eager's does not."""
    if call.method != "generate":
        return {}
    facts = context.builder.built(evaluation.request(call)).facts
    if facts.get("kv_cache", True):
        return {}
    return {"kv_cache": False, "without_kv_cache": facts.get("without_kv_cache", "")}


def ratio_limit(budget: LatencyBudget) -> float | None:
    """Return the greatest allowed ``latency(backend) / latency(vs)``; None where the budget sets none."""
    if budget.speedup is not None:
        return 1 / budget.speedup
    return None if budget.max_slowdown is None else 1 + budget.max_slowdown


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
    candidate: Callable[[], object],
    call: Call,
    limits: Mapping[str, Limit],
    evaluation: Evaluation,
    context: EvaluationContext,
) -> Read:
    if all(limit.quantity == "latency" for limit in limits.values()):
        return partial(read_latency, candidate)
    clock = TokenClock()
    built = context.builder.built(evaluation.request(call))
    return partial(clock.read, timed(built, heard_by(clock, call)))


def _first(read: Read, backend: Backend) -> Reading:
    """The first reading, which also shows that the call can be made again."""
    try:
        return read()
    except CpuaccelError:
        raise
    except Exception as error:
        raise BuildError(f"{backend.name}: raises when its latency is taken: {reason(error)}") from error


def _of_ratio(
    sides: Sides, evaluation: Evaluation, budget: LatencyBudget, reach: Reach, rebuild: Callable[[], Sides]
) -> Iterator[Part]:
    """The answer to the ratio; where none is asked, only its estimate, and none at all of calls too slow for that."""
    allowed = ratio_limit(budget)
    refusal = reach.why_no_race(budget.vs)
    if allowed is not None and refusal:
        yield Part(Outcome.INCONCLUSIVE, refusal)
    elif reach.holds_a_pair:
        threads = check_threads(sides, evaluation, reach.config.threads)
        result = race(sides, limit=allowed, rebuild=rebuild, config=reach.config)
        pairs_ns = " ".join(f"{ours:.0f}/{theirs:.0f}" for ours, theirs in result.pairs_ns)
        facts = {**threads, **result.facts(), "pairs_ns": pairs_ns}
        yield Part(result.outcome, _ratio_sentence(result, budget), facts=facts)


def _ratio_sentence(result: Race, budget: LatencyBudget) -> str:
    limit = ratio_limit(budget)
    ratio = Estimate(result.ratio, *result.interval).inverse
    interval = ratio.interval(apart_from=None if limit is None else 1 / limit, pairs=len(result.pairs))
    found = (
        f"{result.speedup:.2f}x the speed of {budget.vs} {interval}, "
        f"p50 {format_duration(result.p50_ns)} against {format_duration(result.reference_p50_ns)}"
    )
    allowed = (
        f"budget {budget.speedup:.2f}x or more"
        if budget.speedup is not None
        else f"budget at most {100 * (budget.max_slowdown or 0):.3g}% slower"
    )
    reason = f"; {result.reason}" if result.outcome is Outcome.INCONCLUSIVE else ""
    return f"{found}, {allowed}{reason}"


def _of_limits(read: Read, limits: Mapping[str, Limit], reach: Reach) -> Iterator[Part]:
    if not limits:
        return
    if refusal := reach.why_no_hold(limits):
        yield Part(Outcome.INCONCLUSIVE, refusal)
        return
    held = hold_percentiles(read, limits, reach.config)
    yield Part(held.outcome, held.sentence, facts=held.facts())


def _sides(call: Call, evaluation: Evaluation, context: EvaluationContext, opened: contextlib.ExitStack) -> Sides:
    """The builds in use. A build that would race itself gets a second one to race: the A/A row."""
    candidate = context.builder.built(evaluation.request(call))
    if evaluation.versus.name == EAGER.name:
        return Sides(timed(candidate, call), timed(_as_built(evaluation), call))
    try:
        reference = context.builder.built(
            BuildRequest(evaluation.reference, evaluation.versus, call.method, call.inputs)
        )
        if reference is candidate:
            reference = fresh(evaluation.reference, evaluation.versus, call, context, opened)
    except CpuaccelError as error:
        raise type(error)(f"{error} (latency_budget names it in vs=)") from error
    return Sides(timed(candidate, call), timed(reference, call))


def fresh_sides(call: Call, evaluation: Evaluation, context: EvaluationContext, opened: contextlib.ExitStack) -> Sides:
    """Return both sides on builds that nobody else uses, which ``opened`` closes."""
    return Sides(
        timed(fresh(evaluation.model, evaluation.backend, call, context, opened), call),
        timed(fresh(evaluation.reference, evaluation.versus, call, context, opened), call),
    )


def fresh(
    model: nn.Module, backend: Backend, call: Call, context: EvaluationContext, opened: contextlib.ExitStack
) -> BuiltModel:
    """Return a build that nobody else uses, which ``opened`` closes."""
    built = context.builder.build_anew(BuildRequest(model, backend, call.method, call.inputs))
    opened.callback(built.close)
    return built


def _as_built(evaluation: Evaluation) -> BuiltModel:
    """The user's own eager model: what runs today if no backend is chosen."""
    return BuiltModel(evaluation.reference, {}, getattr(evaluation.reference, "generate", None))


def timed(built: BuiltModel, call: Call) -> Callable[[], object]:
    """Return a call of a build, without arguments; a ``generate()`` starts from the generator state of the record."""
    inputs = repeatable(call.inputs)
    run = built.forward if call.method == "forward" else built.generate
    if run is None:
        raise TypeError("a build without generate() can't be timed generating")
    if call.method == "generate":
        return partial(_seeded, run, inputs, call.rng_state)
    if call.written or _holds_cache(inputs):
        return lambda: run(*tree.clone(inputs.args), **tree.clone(dict(inputs.kwargs)))
    return partial(run, *inputs.args, **inputs.kwargs)


def _seeded(run: Callable[..., object], inputs: Inputs, rng_state: torch.Tensor) -> object:
    torch.set_rng_state(rng_state)
    return run(*inputs.args, **inputs.kwargs)


def _holds_cache(inputs: Inputs) -> bool:
    """Tell whether the call brings a key/value cache, which every call would lengthen."""
    return any(is_cache(leaf) for _, leaf in tree.named_leaves(dict(inputs.kwargs)))
