"""Percentiles of what one call takes, and on which side of absolute limits such as p50 <= 30 ms they lie.

An absolute limit is at the machine's mercy: contention breaks it for code that has not changed. That a percentile is
below takes only the calls; that it is above takes also that even the best moments broke the limit while the machine
was itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from time import perf_counter_ns

from pytest_cpuaccel.core.limit import Limit, Quantity
from pytest_cpuaccel.core.measurement.latency import LimitMeasurement, PercentileMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.machine.pressure import read_pressure, strain
from pytest_cpuaccel.measure.latency.block import Block, take_blocks
from pytest_cpuaccel.measure.latency.call_times import Read
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import log_evidence, log_evidence_of_rarity
from pytest_cpuaccel.measure.latency.probe import SESSION_PROBE, Probe
from pytest_cpuaccel.measure.latency.quantile import MEDIAN, quantile
from pytest_cpuaccel.measure.latency.running_percentiles import RunningPercentiles
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection
from pytest_cpuaccel.measure.latency.warmup import warm_up

RARE = 0.99
"""From this percentile on it takes over 500 blocks to show that a limit is kept, so the long cap holds."""


def measure_percentiles(
    read: Read, limits: Mapping[str, Limit], config: RaceConfig, probe: Probe = SESSION_PROBE
) -> PercentileMeasurement:
    """Measure what one call takes, as ``read`` times it, until it is told from limits by name, or until the cap."""
    before = read_pressure()
    started_ns = perf_counter_ns()
    levels: dict[Quantity, list[float]] = {"latency": []}
    for limit in limits.values():
        levels.setdefault(limit.quantity, []).append(limit.level)
    seen = {quantity: RunningPercentiles(quantity, asked, probe.best_ns) for quantity, asked in levels.items()}
    with no_collection():
        call_ns = warm_up(read, config.warmup_cap_s)
        asks_rare = any(limit.level >= RARE for limit in limits.values())
        cap_s = config.long_cap_s if asks_rare else config.cap_for(call_ns)
        blocks = take_blocks(read, call_ns, probe.time_ns, config.seed)
        found = measure_limits(attended(blocks, "blocks", config.progress), limits, config, cap_s, seen)
    whole = seen["latency"]
    calls_ns = whole.calls_ns
    return PercentileMeasurement(
        limits=found,
        p50_ns=quantile(calls_ns, 0.5),
        p90_ns=quantile(calls_ns, 0.9),
        p99_ns=quantile(calls_ns, 0.99),
        calls=len(calls_ns),
        seconds=(perf_counter_ns() - started_ns) / 1e9,
        probe_slowdown=whole.probe_slowdown(MEDIAN),
        context_switches=sum(block.switches for block in whole.blocks),
        strain=strain(before, read_pressure()),
    )


def measure_limits(
    blocks: Iterable[Block],
    limits: Mapping[str, Limit],
    config: RaceConfig,
    cap_s: float,
    seen: Mapping[Quantity, RunningPercentiles],
) -> dict[str, LimitMeasurement]:
    """Take blocks into ``seen`` until the side of every limit is shown, or until the cap; return what was found."""
    held = dict.fromkeys(limits, 0)
    settled: dict[str, tuple[Shown, int, int]] = {}
    for block in blocks:
        for observation in seen.values():
            observation.add(block)
        for name, limit in limits.items():
            held[name] += block.drawn_ns(limit.quantity) <= limit.ns
            if name not in settled and (shown := _shown(limit, held[name], config, seen[limit.quantity])):
                settled[name] = shown, held[name], len(seen[limit.quantity].blocks)
        if len(settled) == len(limits) or block.elapsed_s >= cap_s:
            break
    found = {}
    for name, limit in limits.items():
        observation = seen[limit.quantity]
        shown, kept, trials = settled.get(name) or (Shown.OPEN, held[name], len(observation.blocks))
        found[name] = LimitMeasurement(
            quantity=limit.quantity,
            level=limit.level,
            found_ns=quantile(observation.calls_ns, limit.level),
            held=kept,
            blocks=trials,
            more_blocks=_more_blocks(limit, kept, config, observation) if shown is Shown.OPEN else None,
            items=limit.items,
            shown=shown,
            best_ns=observation.best_ns(limit.level),
            probe_slowdown=observation.probe_slowdown(limit.level),
            block_s=observation.blocks[-1].elapsed_s / len(observation.blocks),
        )
    return found


def blocks_to_keep(held: int, trials: int, level: float, alpha: float) -> int:
    """Return how many more drawn calls, all keeping the limit, would show that the percentile does."""
    more = 1
    while log_evidence_of_rarity(held + more, trials + more, level) < -math.log(alpha):
        more += 1
    return more


def blocks_to_break(broken: int, trials: int, level: float, alpha: float) -> int:
    """Return how many more drawn calls, all breaking the limit, would show that the percentile does not hold."""
    more = 1
    while log_evidence(broken + more, trials + more, 1 - level) < -math.log(alpha):
        more += 1
    return more


def _shown(limit: Limit, held: int, config: RaceConfig, seen: RunningPercentiles) -> Shown | None:
    """On which side of the limit the percentile lies; None while that is open."""
    trials = len(seen.blocks)
    if log_evidence_of_rarity(held, trials, limit.level) >= -math.log(config.alpha_below):
        return Shown.BELOW
    if log_evidence(trials - held, trials, 1 - limit.level) < -math.log(config.alpha_above):
        return None
    return Shown.ABOVE if seen.breaks(limit.ns, limit.level) else None


def _more_blocks(limit: Limit, held: int, config: RaceConfig, seen: RunningPercentiles) -> int | None:
    """How many more blocks of the same would show it; None where the best moments or the machine speak against it."""
    trials = len(seen.blocks)
    if held > limit.level * trials:
        return blocks_to_keep(held, trials, limit.level, config.alpha_below)
    if seen.best_ns(limit.level) <= limit.ns or not seen.machine_is_itself(limit.level):
        return None
    broken = trials - held
    return max(blocks_to_break(broken, trials, limit.level, config.alpha_above), seen.blocks_to_blame(limit.ns))
