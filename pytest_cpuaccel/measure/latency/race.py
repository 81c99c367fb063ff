"""A race: the latency of a candidate against that of a reference, and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, sqrt
from statistics import median
from time import perf_counter_ns

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.machine.pressure import Pressure, read_pressure, strain
from pytest_cpuaccel.measure.latency.bounds import lower_bound, upper_bound
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Pair, Sides, take_pairs
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.sequential_test import Rules, SequentialTest, decide, estimate, rules_for
from pytest_cpuaccel.measure.latency.turn import burst_for
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share, queued_share
from pytest_cpuaccel.measure.latency.warmup import warm_up_both


@dataclass(frozen=True)
class Race:
    """What a race found.

    ``outcome`` is ``None`` when no limit was given. ``ratio`` is the median of candidate over reference;
    ``interval`` is made of the limits that the tests behind the verdict do not exclude: all of it lies below the
    limit of a PASS and above that of a FAIL, and it holds the true ratio with probability
    ``1 - alpha_pass - 2 alpha_fail`` at least, whenever the race stops. ``(0, inf)`` stands for an end that too few
    pairs could not give, which no PASS or FAIL has. Pairs and percentiles are those of both heats.
    ``confirmed`` tells whether a fresh build repeated a FAIL, ``None`` when there was none to repeat. ``cpu_ratio`` is
    ``None`` with several threads. ``off_cpu_share`` is the share of time that calls waited of their own accord,
    ``queued_share`` that they were kept waiting for a processor.
    """

    outcome: Outcome | None
    reason: str
    ratio: float
    interval: tuple[float, float]
    pairs: tuple[Pair, ...]
    seconds: float
    p50_ns: float
    p90_ns: float
    reference_p50_ns: float
    reference_p90_ns: float
    cpu_ratio: float | None
    off_cpu_share: float
    queued_share: float
    context_switches: int
    before: Pressure
    after: Pressure
    confirmed: bool | None
    threads: int
    seed: int

    @property
    def speedup(self) -> float:
        """Reference over candidate."""
        return 1 / self.ratio

    @property
    def speedup_interval(self) -> tuple[float, float]:
        """The interval of reference over candidate."""
        low, high = self.interval
        return 1 / high, 1 / low if low else inf

    @property
    def pairs_ns(self) -> tuple[tuple[float, float], ...]:
        """Wall ns per call of every pair, candidate first."""
        return tuple((pair.candidate.wall_ns, pair.reference.wall_ns) for pair in self.pairs)

    def facts(self) -> dict[str, Scalar]:
        """Return the numbers as flat scalars; what could not be measured is left out."""
        facts: dict[str, Scalar | None] = {
            "ratio": self.ratio,
            "ratio_low": self.interval[0] or None,
            "ratio_high": self.interval[1] if self.interval[1] < inf else None,
            "pairs": len(self.pairs),
            "seconds": self.seconds,
            "p50_ns": self.p50_ns,
            "p90_ns": self.p90_ns,
            "reference_p50_ns": self.reference_p50_ns,
            "reference_p90_ns": self.reference_p90_ns,
            "cpu_ratio": self.cpu_ratio,
            "off_cpu_share": self.off_cpu_share,
            "queued_share": self.queued_share,
            "context_switches": self.context_switches,
            "load_before": self.before.load,
            "load_after": self.after.load,
            "cpu_waiting_before": self.before.cpu_waiting,
            "cpu_waiting_after": self.after.cpu_waiting,
            "confirmed": self.confirmed,
            "threads": self.threads,
            "seed": self.seed,
        }
        facts |= strain(self.before, self.after)
        return {name: value for name, value in facts.items() if value is not None}


def race(sides: Sides, *, limit: float | None, rebuild: Callable[[], Sides], config: RaceConfig) -> Race:
    """Hold latency(candidate) / latency(reference) to ``limit``; with ``None``, only estimate it.

    A FAIL is said only when a second heat on ``rebuild()`` repeats it: separate builds of one model differ by
    up to 3 %, and the layout of one build is not the model's fault. Both have to be wrong for a wrong FAIL, so each
    may be with probability ``sqrt(alpha_fail)``.
    """
    before = read_pressure()
    started_ns = perf_counter_ns()
    heat = _run_heat(sides, limit, config)
    interval, confirmed = interval_of(heat, config), None
    if heat.outcome is Outcome.FAIL:
        config.progress("slower than allowed; confirming on a fresh build")
        second = _run_heat(rebuild(), limit, replace(config, seed=config.seed + 1), repeats=True)
        interval, heat = joint_interval(heat, second, config), confirm(heat, second)
        confirmed = heat.outcome is Outcome.FAIL
    seconds = (perf_counter_ns() - started_ns) / 1e9
    candidate_ns = [ns for pair in heat.pairs for ns in pair.candidate.calls_ns]
    reference_ns = [ns for pair in heat.pairs for ns in pair.reference.calls_ns]
    return Race(
        outcome=heat.outcome,
        reason=heat.reason,
        ratio=heat.ratio,
        interval=interval,
        pairs=heat.pairs,
        seconds=seconds,
        p50_ns=quantile(candidate_ns, 0.5),
        p90_ns=quantile(candidate_ns, 0.9),
        reference_p50_ns=quantile(reference_ns, 0.5),
        reference_p90_ns=quantile(reference_ns, 0.9),
        cpu_ratio=median(pair.cpu_ratio for pair in heat.pairs) if config.threads == 1 else None,
        off_cpu_share=off_cpu_share(heat.pairs),
        queued_share=queued_share(heat.pairs),
        context_switches=sum(pair.candidate.switches + pair.reference.switches for pair in heat.pairs),
        before=before,
        after=read_pressure(),
        confirmed=confirmed,
        threads=config.threads,
        seed=config.seed,
    )


def confirm(first: SequentialTest, second: SequentialTest) -> SequentialTest:
    """Return what a heat that failed and a second one on a fresh build show together."""
    pairs, cpu_arm = first.pairs + second.pairs, first.cpu_arm and second.cpu_arm
    if second.outcome is Outcome.FAIL:
        return SequentialTest(Outcome.FAIL, f"{first.reason}; of a fresh build {second.reason}", pairs, cpu_arm)
    reason = (
        f"slower than allowed at first (ratio {first.ratio:.3f}), "
        f"which a fresh build did not confirm ({second.ratio:.3f})"
    )
    return SequentialTest(Outcome.INCONCLUSIVE, reason, pairs, cpu_arm)


def interval_of(heat: SequentialTest, config: RaceConfig) -> tuple[float, float]:
    """Return the interval of a ratio after one heat; its ends err with ``alpha_fail`` and ``alpha_pass`` at most."""
    return (
        lower_bound(heat.pairs, config.alpha_fail, cpu_arm=heat.cpu_arm),
        upper_bound(heat.pairs, config.alpha_pass, cpu_arm=heat.cpu_arm),
    )


def joint_interval(first: SequentialTest, second: SequentialTest, config: RaceConfig) -> tuple[float, float]:
    """Return the interval of a ratio after two heats, with the error rates of one.

    The lower end is wrong only if that of each heat is, which each may be with probability ``sqrt(alpha_fail)``; the
    upper end only if that of the first heat is. It reaches as far as that of all pairs, whose median it holds.
    """
    both = confirm(first, second)
    each = sqrt(config.alpha_fail)
    return (
        min(lower_bound(heat.pairs, each, cpu_arm=heat.cpu_arm) for heat in (first, second)),
        max(upper_bound(heat.pairs, config.alpha_pass, cpu_arm=heat.cpu_arm) for heat in (first, both)),
    )


def heat_rules(call_ns: float, config: RaceConfig, *, repeats: bool = False) -> Rules:
    """Return the rules of one of two heats; one that repeats a FAIL may end as soon as it does."""
    rules = replace(rules_for(call_ns, config), alpha_fail=sqrt(config.alpha_fail))
    return replace(rules, min_pairs=1, min_s=0.0) if repeats else rules


def _run_heat(sides: Sides, limit: float | None, config: RaceConfig, *, repeats: bool = False) -> SequentialTest:
    with no_collection():
        call_ns = warm_up_both(sides, config.warmup_cap_s)
        pairs = attended(take_pairs(sides, burst_for(call_ns), config.seed), "pairs", config.progress)
        rules = heat_rules(call_ns, config, repeats=repeats)
        return estimate(pairs, cpu_arm=rules.cpu_arm) if limit is None else decide(pairs, limit, rules)
