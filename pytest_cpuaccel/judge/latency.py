"""The latency verdict on a workload: its ratio to another backend, and its percentiles."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from pytest_cpuaccel.build.registry import EAGER
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Scalar
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.court import Court
from pytest_cpuaccel.judge.generation import repeatable
from pytest_cpuaccel.judge.trial import Trial
from pytest_cpuaccel.judge.workload import Workload
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.percentile import PercentileResult, hold_percentiles
from pytest_cpuaccel.measure.latency.race import Race, race

_SEVERITY = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True)
class _Part:
    """The answer to one part of a budget; ``outcome`` is None where nothing was asked."""

    outcome: Outcome | None
    sentence: str


def judge_latency(workload: Workload, trial: Trial, budget: LatencyBudget, court: Court, config: RaceConfig) -> Verdict:
    """Return the verdict on a workload's ratio and percentiles, the worst of its parts.

    The bare backend call is timed, with equal threads on both sides, while nothing else runs on this machine.
    """
    percentiles = {name: ns for name in ("p50", "p90", "p99") if (ns := getattr(budget, f"{name}_ns"))}
    with court.alone(), torch.no_grad(), contextlib.ExitStack() as opened:
        sides = _sides(workload.sample, trial, court, opened)
        rebuild = functools.partial(_fresh_sides, workload.sample, trial, court, opened)
        ratio = race(sides, limit=ratio_limit(budget), rebuild=rebuild, config=config)
        held = hold_percentiles(sides.candidate, percentiles, config) if percentiles else None
    parts = [_ratio_part(ratio, budget)]
    facts: dict[str, Scalar] = {**ratio.facts(), "vs": budget.vs}
    facts["pairs_ns"] = " ".join(f"{ours:.0f}/{theirs:.0f}" for ours, theirs in ratio.pairs_ns)
    if held is not None:
        parts.append(_percentile_part(held))
        facts |= held.facts()
    return _worst(parts, f"{trial.backend.name}: {workload.label}", facts)


def ratio_limit(budget: LatencyBudget) -> float | None:
    """Return the greatest allowed ``latency(backend) / latency(vs)``; None where the budget sets none."""
    if budget.speedup is not None:
        return 1 / budget.speedup
    return None if budget.max_slowdown is None else 1 + budget.max_slowdown


def _worst(parts: list[_Part], subject: str, facts: dict[str, Scalar]) -> Verdict:
    asked = [part for part in parts if part.outcome is not None]
    outcome = min((part.outcome for part in asked if part.outcome), key=_SEVERITY.index)
    sentences = [part.sentence for part in asked if part.outcome is outcome]
    return Verdict("latency", outcome, f"{subject}: {'; '.join(sentences)}", facts)


def _ratio_part(result: Race, budget: LatencyBudget) -> _Part:
    low, high = result.speedup_interval
    found = (
        f"{result.speedup:.2f}x the speed of {budget.vs} [{low:.2f}, {high:.2f}], "
        f"p50 {format_duration(result.p50_ns)} against {format_duration(result.reference_p50_ns)}"
    )
    allowed = (
        f"budget {budget.speedup:.2f}x or more"
        if budget.speedup is not None
        else f"budget at most {100 * (budget.max_slowdown or 0):.3g}% slower"
    )
    reason = f"; {result.reason}" if result.outcome is Outcome.INCONCLUSIVE else ""
    return _Part(result.outcome, f"{found}, {allowed}{reason}")


def _percentile_part(result: PercentileResult) -> _Part:
    return _Part(result.outcome, result.sentence)


def _sides(call: Call, trial: Trial, court: Court, opened: contextlib.ExitStack) -> Sides:
    """The builds in use. A build that would race itself gets a second one to race: the A/A row."""
    candidate = court.workshop.built(trial.model, trial.backend, call.method, call.inputs)
    if trial.versus.name == EAGER.name:
        return Sides(_timed(candidate, call), _timed(_as_built(trial), call))
    reference = court.workshop.built(trial.reference, trial.versus, call.method, call.inputs)
    if reference is candidate:
        reference = _fresh(trial.reference, trial.versus, call, court, opened)
    return Sides(_timed(candidate, call), _timed(reference, call))


def _fresh_sides(call: Call, trial: Trial, court: Court, opened: contextlib.ExitStack) -> Sides:
    return Sides(
        _timed(_fresh(trial.model, trial.backend, call, court, opened), call),
        _timed(_fresh(trial.reference, trial.versus, call, court, opened), call),
    )


def _fresh(model: nn.Module, backend: Backend, call: Call, court: Court, opened: contextlib.ExitStack) -> BuiltModel:
    built = court.workshop.build_anew(model, backend, call.method, call.inputs)
    opened.callback(built.close)
    return built


def _as_built(trial: Trial) -> BuiltModel:
    """The user's own eager model: what runs today if no backend is chosen."""
    return BuiltModel(trial.reference, {}, getattr(trial.reference, "generate", None))


def _timed(built: BuiltModel, call: Call) -> Callable[[], object]:
    """One call of a build, without arguments; a ``generate()`` starts from the generator state it was recorded with."""
    inputs = repeatable(call.inputs)
    run = built.forward if call.method == "forward" else built.generate
    if run is None:
        raise TypeError("a build without generate() can't be timed generating")
    if call.method == "generate":
        return functools.partial(_seeded, run, inputs, call.rng_state)
    if _holds_cache(inputs):
        return lambda: run(*inputs.args, **tree.clone(dict(inputs.kwargs)))
    return functools.partial(run, *inputs.args, **inputs.kwargs)


def _seeded(run: Callable[..., object], inputs: Inputs, rng_state: torch.Tensor) -> object:
    torch.set_rng_state(rng_state)
    return run(*inputs.args, **inputs.kwargs)


def _holds_cache(inputs: Inputs) -> bool:
    """Tell whether the call brings a key/value cache, which every call would lengthen."""
    return any(hasattr(leaf, "get_seq_length") for _, leaf in tree.named_leaves(dict(inputs.kwargs)))
