"""A race: the latency of a candidate against that of a reference, and on which side of a limit it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from statistics import median
from time import perf_counter_ns

from pytest_cpuaccel.core.measurement.latency import RaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.machine.pressure import read_pressure, strain
from pytest_cpuaccel.measure.latency.bounds import lower_bound, upper_bound
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import take_pairs
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.sequential_test import Rules, SequentialTest, decide, estimate, rules_for
from pytest_cpuaccel.measure.latency.side import Sides, warm_up_both
from pytest_cpuaccel.measure.latency.turn import burst_for
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share, queued_share


def race(sides: Sides, *, limit: float | None, rebuild: Callable[[], Sides], config: RaceConfig) -> RaceMeasurement:
    """Tell latency(candidate) / latency(reference) from ``limit``; with ``None``, only estimate it.

    It is shown to be above the limit only when a second test on ``rebuild()`` repeats it: separate builds of one model
    differ by up to 3 %, and the layout of one build is not the model's fault. Both have to be wrong for that to be
    wrong, so each may be with probability ``sqrt(alpha_above)``.
    """
    before = read_pressure()
    started_ns = perf_counter_ns()
    test = _run_test(sides, limit, config)
    interval, confirmed = interval_of(test, config), None
    if test.shown is Shown.ABOVE:
        config.progress("slower than allowed; confirming on a fresh build")
        second = _run_test(rebuild(), limit, replace(config, seed=config.seed + 1), repeats=True)
        interval, test = joint_interval(test, second, config), confirm(test, second)
        confirmed = test.shown is Shown.ABOVE
    seconds = (perf_counter_ns() - started_ns) / 1e9
    candidate_ns = [ns for pair in test.pairs for ns in pair.candidate.calls_ns]
    reference_ns = [ns for pair in test.pairs for ns in pair.reference.calls_ns]
    return RaceMeasurement(
        ratio=test.ratio,
        interval=interval,
        pairs=len(test.pairs),
        pairs_ns=tuple((pair.candidate.wall_ns, pair.reference.wall_ns) for pair in test.pairs),
        seconds=seconds,
        p50_ns=quantile(candidate_ns, 0.5),
        p90_ns=quantile(candidate_ns, 0.9),
        reference_p50_ns=quantile(reference_ns, 0.5),
        reference_p90_ns=quantile(reference_ns, 0.9),
        cpu_ratio=median(pair.cpu_ratio for pair in test.pairs) if config.threads == 1 else None,
        off_cpu_share=off_cpu_share(test.pairs),
        queued_share=queued_share(test.pairs),
        context_switches=sum(pair.candidate.switches + pair.reference.switches for pair in test.pairs),
        strain=strain(before, read_pressure()),
        confirmed=confirmed,
        threads=config.threads,
        seed=config.seed,
        shown=test.shown,
        reason=test.reason,
    )


def confirm(first: SequentialTest, second: SequentialTest) -> SequentialTest:
    """Return what a test that was above the limit and a second one on a fresh build show together."""
    pairs, cpu_arm = first.pairs + second.pairs, first.cpu_arm and second.cpu_arm
    if second.shown is Shown.ABOVE:
        return SequentialTest(Shown.ABOVE, f"{first.reason}; of a fresh build {second.reason}", pairs, cpu_arm)
    reason = (
        f"slower than allowed at first (ratio {first.ratio:.3f}), "
        f"which a fresh build did not confirm ({second.ratio:.3f})"
    )
    return SequentialTest(Shown.OPEN, reason, pairs, cpu_arm)


def interval_of(test: SequentialTest, config: RaceConfig) -> tuple[float, float]:
    """Return the interval of a ratio after one test; its ends err with ``alpha_above`` and ``alpha_below`` at most."""
    return (
        lower_bound(test.pairs, config.alpha_above, cpu_arm=test.cpu_arm),
        upper_bound(test.pairs, config.alpha_below, cpu_arm=test.cpu_arm),
    )


def joint_interval(first: SequentialTest, second: SequentialTest, config: RaceConfig) -> tuple[float, float]:
    """Return the interval of a ratio after two tests, with the error rates of one.

    The lower end is wrong only if that of each test is, which each may be with probability ``sqrt(alpha_above)``; the
    upper end only if that of the first test is. It reaches as far as that of all pairs, whose median it holds.
    """
    both = confirm(first, second)
    each = sqrt(config.alpha_above)
    return (
        min(lower_bound(test.pairs, each, cpu_arm=test.cpu_arm) for test in (first, second)),
        max(upper_bound(test.pairs, config.alpha_below, cpu_arm=test.cpu_arm) for test in (first, both)),
    )


def sequential_rules(call_ns: float, config: RaceConfig, *, repeats: bool = False) -> Rules:
    """Return the rules of one of two tests; one that repeats what the first showed may end as soon as it does."""
    rules = replace(rules_for(call_ns, config), alpha_above=sqrt(config.alpha_above))
    return replace(rules, min_pairs=1, min_s=0.0) if repeats else rules


def _run_test(sides: Sides, limit: float | None, config: RaceConfig, *, repeats: bool = False) -> SequentialTest:
    with no_collection():
        call_ns = warm_up_both(sides, config.warmup_cap_s)
        pairs = attended(take_pairs(sides, burst_for(call_ns), config.seed), "pairs", config.progress)
        rules = sequential_rules(call_ns, config, repeats=repeats)
        return estimate(pairs, cpu_arm=rules.cpu_arm) if limit is None else decide(pairs, limit, rules)
