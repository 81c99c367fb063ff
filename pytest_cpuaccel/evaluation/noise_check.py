"""Whether the machine was fit for a latency verdict: what speaks against a FAIL, and what explains an INCONCLUSIVE."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf

import torch

from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BusyError
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.latency import fresh, ratio_limit, timed
from pytest_cpuaccel.machine.traits import MUCH_STEAL, cpus_online, crowded
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.self_check import FINE, Resolution, resolve, smallest_slowdown

CAP_S = 3.0
PAIRS = 30
"""An A/A check within a test session takes so long at most, or as long as so many pairs do."""

MOST_DIFFERENT = 0.05
"""Equal copies differ by up to 3 % because of where their weights lie; by more only on a machine that can't judge."""

MUCH_QUEUED = 0.05

ALPHA = 0.005
"""Of the A/A check, which serves a whole session: it is not shared out among the budgets of one test."""


def with_fitness(
    verdict: Verdict,
    call: Call,
    evaluation: Evaluation,
    budget: LatencyBudget,
    context: EvaluationContext,
    config: RaceConfig,
) -> Verdict:
    """Return a verdict that also says whether the machine was fit for it.

    After a FAIL, eager races a copy of itself, once in a session; where equal copies fail too, nothing is known, and
    the verdict becomes INCONCLUSIVE.
    """
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return _explained(verdict, budget)
    if verdict.outcome is not Outcome.FAIL:
        return verdict
    if not context.self_checks:
        call_ns = _number(verdict.facts, "p50_ns")
        cap_s = max(CAP_S, 2 * PAIRS * call_ns / 1e9)
        if cap_s > config.cap_for(call_ns):
            return _with_line(verdict, f"no A/A check: {PAIRS} pairs of such calls take {cap_s:.0f} s")
        try:
            context.self_checks.append(_self_check(call, evaluation, context, config, cap_s))
        except BusyError as busy:
            return _with_line(verdict, f"no A/A check: {busy}")
    return _weighed(verdict, budget, context.self_checks[0])


def _explained(verdict: Verdict, budget: LatencyBudget) -> Verdict:
    reasons = list(_circumstances(verdict.facts))
    if {"ratio_low", "ratio_high"} <= verdict.facts.keys():
        low, high, ratio, seconds = (
            _number(verdict.facts, name) for name in ("ratio_low", "ratio_high", "ratio", "seconds")
        )
        reasons += _too_fine(budget, smallest_slowdown((low, high), ratio), seconds)
    return replace(verdict, sentence="; ".join((verdict.sentence, *reasons)))


def _circumstances(facts: Mapping[str, Scalar]) -> Iterator[str]:
    """What kept a measurement from being steady, from the facts of its verdict."""
    throttled = sum(_number(facts, name) for name in ("throttled", "percentile_throttled"))
    steal = max(_number(facts, name) for name in ("steal", "percentile_steal"))
    queued, load = _number(facts, "queued_share"), _number(facts, "load_after")
    if throttled:
        yield f"the cgroup was throttled {throttled:.0f} times meanwhile"
    if steal > MUCH_STEAL:
        yield f"steal {100 * steal:.2g} %"
    if queued > MUCH_QUEUED:
        yield f"calls waited for a processor {100 * queued:.2g} % of their time"
    if crowded(load):
        yield f"load {load:.1f} on {cpus_online()} CPUs"


def _self_check(
    call: Call, evaluation: Evaluation, context: EvaluationContext, config: RaceConfig, cap_s: float
) -> Resolution:
    with context.alone(), torch.no_grad(), contextlib.ExitStack() as opened:
        copies = (fresh(evaluation.reference, EAGER, call, context, opened) for _ in range(2))
        return resolve(Sides(*(timed(copy, call) for copy in copies)), replace(config, alpha_fail=ALPHA), cap_s, FINE)


def _with_line(verdict: Verdict, line: str) -> Verdict:
    return replace(verdict, evidence=(*verdict.evidence, line))


def _weighed(verdict: Verdict, budget: LatencyBudget, found: Resolution) -> Verdict:
    facts = {**verdict.facts, **found.facts()}
    if found.outcome(_most_different(verdict, budget)) is Outcome.FAIL:
        sentence = (
            f"{verdict.sentence}; but in the A/A check two equal copies of eager differed by a factor of "
            f"{found.ratio:.3f} {_interval(found)}: this machine can't judge it now"
        )
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, sentence=sentence, facts=facts)
    resolved = "no slowdown" if found.slowdown == inf else f"slowdowns of {_percent(found.slowdown)} and more"
    line = (
        f"A/A check: two equal copies of eager had a ratio of {found.ratio:.3f}; "
        f"this machine resolves {resolved} in {found.seconds:.2g} s"
    )
    evidence = (*verdict.evidence, line, *_too_fine(budget, found.slowdown, found.seconds))
    return replace(verdict, facts=facts, evidence=evidence)


def _most_different(verdict: Verdict, budget: LatencyBudget) -> float:
    """What equal copies may differ by: less than the call exceeds its limit by, or the limit was not what it broke."""
    limit, ratio = ratio_limit(budget), verdict.facts.get("ratio")
    if limit is None or not isinstance(ratio, float) or ratio <= limit:
        return MOST_DIFFERENT
    return min(MOST_DIFFERENT, ratio / limit - 1)


def _too_fine(budget: LatencyBudget, resolved: float, seconds: float) -> Iterator[str]:
    if budget.max_slowdown is not None and budget.max_slowdown < resolved < inf:
        yield (
            f"max_slowdown={_percent(budget.max_slowdown)} is finer than the {_percent(resolved)} "
            f"that this machine resolves in {seconds:.2g} s"
        )


def _interval(found: Resolution) -> str:
    low, high = found.interval
    return f"[{low:.3f}, {high:.3f}]"


def _number(facts: Mapping[str, Scalar], name: str) -> float:
    return float(facts.get(name, 0))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g} %"
