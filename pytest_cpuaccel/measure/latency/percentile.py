"""Percentiles of what one call takes, held to absolute budgets such as p50 <= 30 ms.

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
from pytest_cpuaccel.machine.pressure import Pressure, read_pressure, strain
from pytest_cpuaccel.measure.latency.block import Block, take_blocks
from pytest_cpuaccel.measure.latency.call_times import Read
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import log_evidence, log_evidence_of_rarity
from pytest_cpuaccel.measure.latency.limit import Limit, Quantity
from pytest_cpuaccel.measure.latency.probe import SESSION_PROBE, Probe
from pytest_cpuaccel.measure.latency.quantile import MEDIAN, quantile
from pytest_cpuaccel.measure.latency.running_percentiles import Observation
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection
from pytest_cpuaccel.measure.latency.warmup import warm_up

RARE = 0.99
"""From this percentile on a PASS takes over 500 blocks, so the long cap holds."""


@dataclass(frozen=True)
class Hold:
    """What was found of one limit.

    ``held`` of ``blocks`` drawn calls kept the limit.
    ``more_blocks`` is how many more would have to keep it for a PASS, or to break it for a FAIL; given with
    INCONCLUSIVE unless more of the same would not settle it.
    """

    outcome: Outcome
    reason: str
    held: int
    blocks: int
    more_blocks: int | None = None


@dataclass(frozen=True)
class PercentileResult:
    """The answer for every limit, by name ("p50"), and what all timed calls took.

    ``found_ns`` are the percentiles that are limited. ``probe_slowdown`` is the probe's median time over its best
    of the session.
    """

    limits: Mapping[str, Limit]
    holds: Mapping[str, Hold]
    found_ns: Mapping[str, float]
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
        """The worst of the outcomes."""
        return Outcome.worst(hold.outcome for hold in self.holds.values())

    @property
    def sentence(self) -> str:
        """Found and allowed, for each limit that had the worst outcome."""
        return "; ".join(
            f"{name} was {self.limits[name].show(self.found_ns[name])}, budget {self.limits[name].text} ({hold.reason})"
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
        facts |= {f"percentile_{name}": value for name, value in strain(self.before, self.after).items()}
        for name, hold in self.holds.items():
            facts |= self.limits[name].facts(name, self.found_ns[name])
            facts[f"{name}_held_blocks"] = hold.held
            facts[f"{name}_blocks"] = hold.blocks
            facts[f"{name}_more_blocks"] = hold.more_blocks
        return {name: value for name, value in facts.items() if value is not None}


def hold_percentiles(
    read: Read, limits: Mapping[str, Limit], config: RaceConfig, probe: Probe = SESSION_PROBE
) -> PercentileResult:
    """Hold what one call takes, as ``read`` times it, to limits by name."""
    before = read_pressure()
    started_ns = perf_counter_ns()
    levels: dict[Quantity, list[float]] = {"latency": []}
    for limit in limits.values():
        levels.setdefault(limit.quantity, []).append(limit.level)
    seen = {quantity: Observation(quantity, asked, probe.best_ns) for quantity, asked in levels.items()}
    with no_collection():
        call_ns = warm_up(read, config.warmup_cap_s)
        asks_rare = any(limit.level >= RARE for limit in limits.values())
        cap_s = config.long_cap_s if asks_rare else config.cap_for(call_ns)
        blocks = take_blocks(read, call_ns, probe.time_ns, config.seed)
        holds = hold(attended(blocks, "blocks", config.progress), limits, config, cap_s, seen)
    whole = seen["latency"]
    calls_ns = whole.calls_ns
    return PercentileResult(
        limits=limits,
        holds=holds,
        found_ns={name: quantile(seen[limit.quantity].calls_ns, limit.level) for name, limit in limits.items()},
        p50_ns=quantile(calls_ns, 0.5),
        p90_ns=quantile(calls_ns, 0.9),
        p99_ns=quantile(calls_ns, 0.99),
        calls=len(calls_ns),
        seconds=(perf_counter_ns() - started_ns) / 1e9,
        probe_slowdown=whole.probe_slowdown(MEDIAN),
        context_switches=sum(block.switches for block in whole.blocks),
        before=before,
        after=read_pressure(),
        threads=config.threads,
        seed=config.seed,
    )


def hold(
    blocks: Iterable[Block],
    limits: Mapping[str, Limit],
    config: RaceConfig,
    cap_s: float,
    seen: Mapping[Quantity, Observation],
) -> dict[str, Hold]:
    """Take blocks into ``seen`` until every limit has a verdict, or until the cap; return the verdicts."""
    held = dict.fromkeys(limits, 0)
    settled: dict[str, Hold] = {}
    for block in blocks:
        for observation in seen.values():
            observation.add(block)
        for name, limit in limits.items():
            held[name] += block.drawn_ns(limit.quantity) <= limit.ns
            if name not in settled and (verdict := _settle(limit, held[name], config, seen[limit.quantity])):
                settled[name] = verdict
        if len(settled) == len(limits) or block.elapsed_s >= cap_s:
            break
    return {
        name: settled.get(name) or _leave_open(name, limit, held[name], config, seen[limit.quantity])
        for name, limit in limits.items()
    }


def blocks_to_pass(held: int, trials: int, level: float, alpha: float) -> int:
    """Return how many more drawn calls, all keeping the limit, would show that the percentile holds."""
    more = 1
    while log_evidence_of_rarity(held + more, trials + more, level) < -math.log(alpha):
        more += 1
    return more


def blocks_to_fail(broken: int, trials: int, level: float, alpha: float) -> int:
    """Return how many more drawn calls, all breaking the limit, would show that the percentile does not hold."""
    more = 1
    while log_evidence(broken + more, trials + more, 1 - level) < -math.log(alpha):
        more += 1
    return more


def _settle(limit: Limit, held: int, config: RaceConfig, seen: Observation) -> Hold | None:
    trials = len(seen.blocks)
    if log_evidence_of_rarity(held, trials, limit.level) >= -math.log(config.alpha_pass):
        return Hold(Outcome.PASS, f"{held} of {trials} drawn calls kept the budget", held, trials)
    broken = trials - held
    if log_evidence(broken, trials, 1 - limit.level) < -math.log(config.alpha_fail):
        return None
    if not seen.breaks(limit.ns, limit.level):
        return None
    reason = f"{broken} of {trials} drawn calls broke the budget, and so did the best moments of the run"
    return Hold(Outcome.FAIL, reason, held, trials)


def _leave_open(name: str, limit: Limit, held: int, config: RaceConfig, seen: Observation) -> Hold:
    trials = len(seen.blocks)
    if held > limit.level * trials:
        more = blocks_to_pass(held, trials, limit.level, config.alpha_pass)
        reason = f"{held} of {trials} drawn calls kept the budget; {_wanting(more, seen)}"
        return Hold(Outcome.INCONCLUSIVE, reason, held, trials, more)
    broken = trials - held
    found = f"{broken} of {trials} drawn calls broke the budget"
    excuse = _excuse(name, limit, seen)
    if excuse:
        return Hold(Outcome.INCONCLUSIVE, f"{found}, but {excuse}", held, trials)
    more = max(blocks_to_fail(broken, trials, limit.level, config.alpha_fail), seen.blocks_to_blame(limit.ns))
    return Hold(Outcome.INCONCLUSIVE, f"{found}; {_wanting(more, seen)}", held, trials, more)


def _wanting(more: int, seen: Observation) -> str:
    block_s = seen.blocks[-1].elapsed_s / len(seen.blocks)
    return f"needs {more} more blocks that all do, about {format_duration(more * block_s * 1e9)}"


def _excuse(name: str, limit: Limit, seen: Observation) -> str | None:
    """What speaks against blaming the call; None where more blocks could blame it."""
    best_ns = seen.best_ns(limit.level)
    if best_ns <= limit.ns:
        return f"in its best moments {name} was {limit.show(best_ns)}"
    if not seen.machine_is_itself(limit.level):
        slowdown = seen.probe_slowdown(limit.level)
        return f"the machine was not itself: p{100 * limit.level:.0f} of a probe was {slowdown:.2f} times its best"
    return None
