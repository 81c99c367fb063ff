"""A race: the latency of a candidate against that of a reference, and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, sqrt
from statistics import median
from time import perf_counter_ns

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.evidence import median_interval
from pytest_cpuaccel.measure.latency.heat import Heat, decide, estimate, off_cpu_share, queued_share, rules_for
from pytest_cpuaccel.measure.latency.pair import Pair, Sides, take_pairs
from pytest_cpuaccel.measure.latency.pressure import Pressure, read_pressure, strain
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.quiet import attended, no_collection
from pytest_cpuaccel.measure.latency.turn import burst_for
from pytest_cpuaccel.measure.latency.warmup import warm_up_both


@dataclass(frozen=True)
class Race:
    """What a race found.

    ``outcome`` is ``None`` when no limit was given. ``ratio`` is the median of candidate over reference;
    ``interval`` holds it with probability ``1 - 2 alpha_fail`` whenever the race stops. Pairs and percentiles
    are those of both heats. ``confirmed`` tells whether a fresh build repeated a FAIL, ``None`` when there
    was none to repeat. ``cpu_ratio`` is ``None`` with several threads. ``off_cpu_share`` is the share of time
    that calls waited of their own accord, ``queued_share`` that they were kept waiting for a processor.
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
    each = replace(config, alpha_fail=sqrt(config.alpha_fail))
    heat = _run_heat(sides, limit, each)
    confirmed = None
    if heat.outcome is Outcome.FAIL:
        config.progress("slower than allowed; confirming on a fresh build")
        again = replace(each, min_pairs=1, min_s=0.0, seed=config.seed + 1)
        heat = confirm(heat, _run_heat(rebuild(), limit, again))
        confirmed = heat.outcome is Outcome.FAIL
    seconds = (perf_counter_ns() - started_ns) / 1e9
    candidate_ns = [ns for pair in heat.pairs for ns in pair.candidate.calls_ns]
    reference_ns = [ns for pair in heat.pairs for ns in pair.reference.calls_ns]
    return Race(
        outcome=heat.outcome,
        reason=heat.reason,
        ratio=heat.ratio,
        interval=median_interval([pair.ratio for pair in heat.pairs], config.alpha_fail),
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


def confirm(first: Heat, second: Heat) -> Heat:
    """Return what a heat that failed and a second one on a fresh build show together."""
    pairs = first.pairs + second.pairs
    if second.outcome is Outcome.FAIL:
        return Heat(Outcome.FAIL, f"{first.reason}; of a fresh build {second.reason}", pairs)
    reason = (
        f"slower than allowed at first (ratio {first.ratio:.3f}), "
        f"which a fresh build did not confirm ({second.ratio:.3f})"
    )
    return Heat(Outcome.INCONCLUSIVE, reason, pairs)


def _run_heat(sides: Sides, limit: float | None, config: RaceConfig) -> Heat:
    with no_collection():
        call_ns = warm_up_both(sides, config.warmup_cap_s)
        pairs = attended(take_pairs(sides, burst_for(call_ns), config.seed), "pairs", config.progress)
        return estimate(pairs) if limit is None else decide(pairs, limit, rules_for(call_ns, config))
