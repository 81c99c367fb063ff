"""A sequential test: pairs of turns taken until they show on which side of a limit the ratio lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.bounds import MOST_WAITING, fewest_pairs, lower_bound, share, upper_bound
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import critical
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share
from pytest_cpuaccel.measure.latency.weighted_sign_test import WeightedSigns

ESTIMATE_S = 0.5
ESTIMATE_PAIRS = 30
ESTIMATE_CAP_S = 3.0


@dataclass(frozen=True)
class Rules:
    """When a test may end. With ``cpu_arm`` the alphas are split between wall clock and CPU time."""

    alpha_above: float
    alpha_below: float
    min_pairs: int
    min_s: float
    cap_s: float
    cpu_arm: bool

    @property
    def each_above(self) -> float:
        """Return what each test has of ``alpha_above``."""
        return share(self.alpha_above, cpu_arm=self.cpu_arm)

    @property
    def each_below(self) -> float:
        """Return what each test has of ``alpha_below``."""
        return share(self.alpha_below, cpu_arm=self.cpu_arm)


@dataclass(frozen=True)
class SequentialTest:
    """The pairs of one test and what they settled; ``shown`` is ``None`` where nothing was asked.

    ``cpu_arm`` tells whether CPU time was asked too.
    """

    shown: Shown | None
    reason: str
    pairs: tuple[Pair, ...]
    cpu_arm: bool = False

    @property
    def ratio(self) -> float:
        """Median wall-clock ratio, candidate over reference."""
        return median(pair.ratio for pair in self.pairs)


@dataclass(frozen=True)
class Signs:
    """How many ratios lay above and below the limit; one exactly at the limit speaks for neither."""

    above: int = 0
    below: int = 0
    trials: int = 0

    def then(self, ratio: float, limit: float) -> Signs:
        """Return the signs with one more ratio."""
        return Signs(self.above + (ratio > limit), self.below + (ratio < limit), self.trials + 1)

    def shown(self, rules: Rules) -> Shown | None:
        """Return what these signs show by themselves, or ``None`` while they show nothing."""
        if self.above >= critical(self.trials, rules.each_above):
            return Shown.ABOVE
        if self.below >= critical(self.trials, rules.each_below):
            return Shown.BELOW
        return None


def rules_for(call_ns: float, config: RaceConfig) -> Rules:
    """Return the rules for calls that take about ``call_ns``.

    A call that is timed alone is often preempted on a crowded machine; its CPU time then varies 3 to 10 times
    less than its wall time. In bursts of shorter calls the median reading deals with that. It takes as many
    pairs to show anything as an interval does, whatever the alphas.
    """
    cpu_arm = config.threads == 1 and call_ns >= LONG_CALL_NS
    strictest = min(config.alpha_above, config.alpha_below)
    return Rules(
        alpha_above=config.alpha_above,
        alpha_below=config.alpha_below,
        min_pairs=max(config.min_pairs, fewest_pairs(strictest, cpu_arm=cpu_arm)),
        min_s=config.min_s,
        cap_s=config.cap_for(call_ns),
        cpu_arm=cpu_arm,
    )


def decide(pairs: Iterable[Pair], limit: float, rules: Rules) -> SequentialTest:
    """Take pairs until they show that the median ratio is above ``limit`` or below it, or until the cap.

    The sign of ``ratio - limit`` is tested, not the ratio: latencies are autocorrelated and heavy-tailed,
    the signs of interleaved pairs are neither. CPU times have no such tails, as nobody's preemption is in them: their
    ratios are weighed, and settle what the wall clock's median does not contradict.
    """
    taken: list[Pair] = []
    wall, cpu = Signs(), WeightedSigns()
    for pair in pairs:
        taken.append(pair)
        wall = wall.then(pair.ratio, limit)
        if rules.cpu_arm:
            cpu = cpu.then(pair.cpu_ratio, limit)
        if len(taken) >= rules.min_pairs and pair.elapsed_s >= rules.min_s:
            if shown := wall.shown(rules):
                return SequentialTest(shown, _majority(wall, limit), tuple(taken), rules.cpu_arm)
            shown = _shown_by_weights(cpu, rules)
            if shown and off_cpu_share(taken) < MOST_WAITING and _excludes(shown, taken, limit, rules):
                return SequentialTest(shown, _reason_of_weighted_test(shown, taken, limit), tuple(taken), rules.cpu_arm)
        if pair.elapsed_s >= rules.cap_s:
            break
    return SequentialTest(Shown.OPEN, _undecided(taken, limit, rules), tuple(taken), rules.cpu_arm)


def estimate(pairs: Iterable[Pair], *, cpu_arm: bool = False) -> SequentialTest:
    """Take pairs for 0.5 s and at least 30 of them, or 3 s; ask nothing of them."""
    taken: list[Pair] = []
    for pair in pairs:
        taken.append(pair)
        enough = len(taken) >= ESTIMATE_PAIRS and pair.elapsed_s >= ESTIMATE_S
        if enough or pair.elapsed_s >= ESTIMATE_CAP_S:
            break
    return SequentialTest(None, f"estimated from {len(taken)} pairs", tuple(taken), cpu_arm)


def _shown_by_weights(weighted: WeightedSigns, rules: Rules) -> Shown | None:
    """What the sizes of CPU-time ratios show by themselves, or None while they show nothing."""
    if weighted.log_evidence_above >= -log(rules.each_above):
        return Shown.ABOVE
    if weighted.log_evidence_below >= -log(rules.each_below):
        return Shown.BELOW
    return None


def _excludes(shown: Shown, pairs: Sequence[Pair], limit: float, rules: Rules) -> bool:
    """Tell whether the bounds say what CPU time does: it needs the median wall-clock ratio on its side."""
    if shown is Shown.BELOW:
        return upper_bound(pairs, rules.alpha_below, cpu_arm=True) < limit
    return lower_bound(pairs, rules.alpha_above, cpu_arm=True) > limit


def _majority(signs: Signs, limit: float) -> str:
    side, count = ("above", signs.above) if signs.above > signs.below else ("below", signs.below)
    return f"{count} of {signs.trials} wall-clock ratios were {side} {limit:.4g}"


def _reason_of_weighted_test(shown: Shown, pairs: Sequence[Pair], limit: float) -> str:
    count = sum((pair.cpu_ratio > limit) is (shown is Shown.ABOVE) for pair in pairs)
    return f"{count} of {len(pairs)} CPU-time ratios, weighed by their distance, were {shown.value} {limit:.4g}"


def _undecided(pairs: Sequence[Pair], limit: float, rules: Rules) -> str:
    if len(pairs) < rules.min_pairs:
        return f"only {len(pairs)} pairs in {rules.cap_s:g} s, and a verdict needs {rules.min_pairs}"
    ratio = median(pair.ratio for pair in pairs)
    return f"{len(pairs)} pairs in {rules.cap_s:g} s did not tell the ratio {ratio:.3f} from the limit {limit:.4g}"
