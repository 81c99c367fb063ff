"""The verdict on a workload without an artifact to race: its ratio to another backend, against that of the baseline."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.baseline_comparison import BaselineComparison
from pytest_cpuaccel.evaluation.baseline_settings import BaselineSettings
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.latency import fresh_sides
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.sequential_test import ESTIMATE_S

DRIFT = 0.15
"""A comparison by ratio fails only when it is above its limit by more than this share: with equal artifacts, ratios to
eager moved by up to 12 % from one run to the next, much further than the interval that either run gave them."""


def lengthened(config: RaceConfig, evaluation: Evaluation, baselines: BaselineSettings) -> RaceConfig:
    """Return a race's settings: it lasts at least ``ESTIMATE_S`` where its ratio is saved or compared."""
    if evaluation.backend.exports_model or not baselines.needs_ratios:
        return config
    return replace(config, min_s=max(config.min_s, ESTIMATE_S))


def judge_by_ratio(comparison: BaselineComparison, changes: Sequence[str]) -> Verdict | None:
    """Return the verdict on today's ratio over the saved one, by their intervals; None, and a note, without both."""
    versus, now, before = comparison.latency.facts.get("vs"), comparison.ratio, comparison.result.ratio
    if obstacle := _obstacle(comparison, versus):
        comparison.note(obstacle)
        return None
    if now is None or before is None:
        comparison.note("its calls were too slow to race")
        return None
    ratio = now.over(before)
    outcome, reason = ratio.held_to(comparison.limit), ""
    if outcome is not Outcome.PASS and (reason := _doubt(comparison, ratio, before)):
        outcome = Outcome.INCONCLUSIVE
    found = f"{comparison.as_long(ratio)}, by ratio, not by a race: {now} as long as {versus} now, {before} then"
    return comparison.verdict(
        outcome,
        f"{found}{_times(comparison)}{reason}",
        "ratio",
        changes,
        ratio=ratio.value,
        ratio_now=now.value,
        ratio_then=before.value,
        figure=f"{ratio} as long (by ratio)",
    )


def _obstacle(comparison: BaselineComparison, versus: object) -> str:
    """Why ratios can't be compared; "" where they can."""
    baseline, threads = comparison.baseline, comparison.context.builder.threads
    if versus == comparison.evaluation.backend.name and not comparison.evaluation.is_of_candidate:
        return "it has no artifact to race, and its ratio to itself says nothing"
    if versus != comparison.result.versus:
        return f"its ratio is to {versus} now and was to {comparison.result.versus}"
    if baseline.isa != this_machine().isa:
        return "on a CPU with other vector instructions ratios differ by themselves"
    if baseline.threads != threads:
        return f"with {baseline.threads} threads then and {threads} now ratios differ by themselves"
    return ""


def _doubt(comparison: BaselineComparison, ratio: Estimate, before: Estimate) -> str:
    """Why a ratio that is not within the limit proves nothing; "" where it does."""
    if ratio.low <= comparison.limit:
        return "; the intervals are too wide to tell"
    if comparison.on_another_cpu:
        return "; on another CPU ratios may differ by themselves"
    if ratio.low <= comparison.limit * (1 + DRIFT):
        return f"; from run to run ratios move by up to {100 * DRIFT:.0f}% by themselves"
    return "" if _repeated(comparison, comparison.limit * before.high) else "; fresh builds did not confirm it"


def _repeated(comparison: BaselineComparison, limit: float) -> bool:
    """Tell whether fresh builds show the ratio to be above ``limit`` too: builds of one model differ."""
    with contextlib.ExitStack() as opened, comparison.context.alone(), torch.no_grad():
        rebuild = partial(fresh_sides, comparison.call, comparison.evaluation, comparison.context, opened)
        return race(rebuild(), limit=limit, rebuild=rebuild, config=comparison.config).outcome is Outcome.FAIL


def _times(comparison: BaselineComparison) -> str:
    """Both times, which mean something on one machine alone."""
    now, before = comparison.latency.facts.get("p50_ns"), comparison.result.p50_ns
    if comparison.on_another_cpu or not before or not isinstance(now, (int, float)):
        return ""
    return f"; p50 {format_duration(now)} now, {format_duration(before)} then"
