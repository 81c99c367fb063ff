"""Percentiles of one call's latency, held to absolute budgets such as p50 <= 30 ms.

An absolute budget is at the machine's mercy: contention breaks it for code that has not changed. PASS needs
only the calls; FAIL needs also that even the best moments broke the budget while the machine was itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.block import Block, take_blocks
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.evidence import log_evidence, log_evidence_of_rarity
from pytest_cpuaccel.measure.latency.observation import MEDIAN, WINDOWS, Observation
from pytest_cpuaccel.measure.latency.pressure import Pressure, read_pressure
from pytest_cpuaccel.measure.latency.probe import SESSION_PROBE, Probe
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.quiet import attended, no_collection
from pytest_cpuaccel.measure.latency.turn import Call
from pytest_cpuaccel.measure.latency.warmup import warm_up

SEVERITY = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)

RARE = 0.99
"""From this percentile on a PASS takes over 500 blocks, so the long cap holds."""


@dataclass(frozen=True)
class Hold:
    """One percentile against its budget.

    ``held`` of ``blocks`` drawn calls kept the budget. ``more_blocks`` is how many more would have to keep it
    for a PASS; given with INCONCLUSIVE where the percentile seems to hold.
    """

    outcome: Outcome
    reason: str
    budget_ns: float
    held: int
    blocks: int
    more_blocks: int | None = None


@dataclass(frozen=True)
class PercentileResult:
    """The answer for every budget, by name ("p50"), and what all timed calls took.

    ``probe_slowdown`` is the probe's median time over its best of the session.
    """

    holds: Mapping[str, Hold]
    p50_ns: float
    p90_ns: float
    p99_ns: float
    calls: int
    seconds: float
    probe_slowdown: float
    context_switches: int
    before: Pressure
    after: Pressure
    threads: int
    seed: int

    @property
    def outcome(self) -> Outcome:
        """The worst of the outcomes: FAIL before INCONCLUSIVE before PASS."""
        found = {hold.outcome for hold in self.holds.values()}
        return next(outcome for outcome in SEVERITY if outcome in found)

    @property
    def sentence(self) -> str:
        """Found and allowed, for each percentile that had the worst outcome."""
        found = {"p50": self.p50_ns, "p90": self.p90_ns, "p99": self.p99_ns}
        return "; ".join(
            f"{name} was {format_duration(found[name])}, budget {format_duration(hold.budget_ns)} ({hold.reason})"
            for name, hold in self.holds.items()
            if hold.outcome is self.outcome
        )

    def facts(self) -> dict[str, Scalar]:
        """Return the numbers as flat scalars, with names that do not clash with those of a race.

        What could not be measured is left out.
        """
        facts: dict[str, Scalar | None] = {
            "p50_ns": self.p50_ns,
            "p90_ns": self.p90_ns,
            "p99_ns": self.p99_ns,
            "percentile_calls": self.calls,
            "percentile_seconds": self.seconds,
            "percentile_context_switches": self.context_switches,
            "probe_slowdown": self.probe_slowdown,
            "load_after": self.after.load,
            "cpu_waiting_after": self.after.cpu_waiting,
        }
        for name, hold in self.holds.items():
            facts[f"{name}_held_blocks"] = hold.held
            facts[f"{name}_blocks"] = hold.blocks
            facts[f"{name}_more_blocks"] = hold.more_blocks
        return {name: value for name, value in facts.items() if value is not None}


def hold_percentiles(
    call: Call, budgets: Mapping[str, float], config: RaceConfig, probe: Probe = SESSION_PROBE
) -> PercentileResult:
    """Hold percentiles of one call's latency to budgets in ns, by name: ``{"p50": 30_000_000}``."""
    before = read_pressure()
    started_ns = perf_counter_ns()
    seen = Observation([level_of(name) for name in budgets], probe.best_ns)
    with no_collection():
        call_ns = warm_up(call, config.warmup_cap_s)
        asks_rare = any(level_of(name) >= RARE for name in budgets)
        cap_s = config.long_cap_s if asks_rare else config.cap_for(call_ns)
        blocks = take_blocks(call, call_ns, probe.time_ns, config.seed)
        holds = hold(attended(blocks, "blocks", config.progress), budgets, config, cap_s, seen)
    calls_ns = [ns for block in seen.blocks for ns in block.calls_ns]
    return PercentileResult(
        holds=holds,
        p50_ns=quantile(calls_ns, 0.5),
        p90_ns=quantile(calls_ns, 0.9),
        p99_ns=quantile(calls_ns, 0.99),
        calls=len(calls_ns),
        seconds=(perf_counter_ns() - started_ns) / 1e9,
        probe_slowdown=seen.probe_slowdown(MEDIAN),
        context_switches=sum(block.switches for block in seen.blocks),
        before=before,
        after=read_pressure(),
        threads=config.threads,
        seed=config.seed,
    )


def hold(
    blocks: Iterable[Block],
    budgets: Mapping[str, float],
    config: RaceConfig,
    cap_s: float,
    seen: Observation,
) -> dict[str, Hold]:
    """Take blocks into ``seen`` until every budget has a verdict, or until the cap; return the verdicts."""
    held = dict.fromkeys(budgets, 0)
    settled: dict[str, Hold] = {}
    for block in blocks:
        seen.add(block)
        for name, budget_ns in budgets.items():
            held[name] += block.drawn_ns <= budget_ns
            if name not in settled and (verdict := _settle(name, budget_ns, held[name], config, seen)):
                settled[name] = verdict
        if len(settled) == len(budgets) or block.elapsed_s >= cap_s:
            break
    return {
        name: settled.get(name) or _leave_open(name, budget_ns, held[name], config, seen)
        for name, budget_ns in budgets.items()
    }


def level_of(name: str) -> float:
    """Return 0.9 for "p90"."""
    return int(name.removeprefix("p")) / 100


def blocks_to_pass(held: int, trials: int, level: float, alpha: float) -> int:
    """Return how many more drawn calls, all keeping the budget, would show that the percentile holds."""
    more = 1
    while log_evidence_of_rarity(held + more, trials + more, level) < -math.log(alpha):
        more += 1
    return more


def _settle(name: str, budget_ns: float, held: int, config: RaceConfig, seen: Observation) -> Hold | None:
    level, trials = level_of(name), len(seen.blocks)
    if log_evidence_of_rarity(held, trials, level) >= -math.log(config.alpha_pass):
        return Hold(Outcome.PASS, f"{held} of {trials} drawn calls kept the budget", budget_ns, held, trials)
    broken = trials - held
    if log_evidence(broken, trials, 1 - level) < -math.log(config.alpha_fail):
        return None
    if not seen.breaks(budget_ns, level):
        return None
    reason = f"{broken} of {trials} drawn calls broke the budget, and so did the best moments of the run"
    return Hold(Outcome.FAIL, reason, budget_ns, held, trials)


def _leave_open(name: str, budget_ns: float, held: int, config: RaceConfig, seen: Observation) -> Hold:
    level, trials = level_of(name), len(seen.blocks)
    if held > level * trials:
        more = blocks_to_pass(held, trials, level, config.alpha_pass)
        reason = f"{held} of {trials} drawn calls kept the budget; needs {more} more blocks that all do"
        return Hold(Outcome.INCONCLUSIVE, reason, budget_ns, held, trials, more)
    reason = _why_not_fail(name, budget_ns, trials - held, seen)
    return Hold(Outcome.INCONCLUSIVE, reason, budget_ns, held, trials)


def _why_not_fail(name: str, budget_ns: float, broken: int, seen: Observation) -> str:
    level, trials = level_of(name), len(seen.blocks)
    drawn = f"{broken} of {trials} drawn calls broke the budget"
    best_ns = seen.best_ns(level)
    if best_ns <= budget_ns:
        return f"{drawn}, but in its best moments {name} was {format_duration(best_ns)}"
    if not seen.machine_is_itself(level):
        slowdown = seen.probe_slowdown(level)
        return f"{drawn}, but the machine was not itself: {name} of a probe was {slowdown:.2f} times its best"
    return f"{drawn}, but {seen.windows} windows are too few to blame the call; a FAIL needs {WINDOWS}"
