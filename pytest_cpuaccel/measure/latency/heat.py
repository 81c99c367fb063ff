"""A heat: pairs of turns taken until they settle whether the candidate is slower than allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.evidence import critical, median_interval
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Turn
from pytest_cpuaccel.measure.latency.weighing import Weighing

MOST_WAITING = 0.05
"""Calls that wait of their own accord for more than this share are not measured by their CPU time."""

ESTIMATE_S = 0.5
ESTIMATE_PAIRS = 30
ESTIMATE_CAP_S = 3.0


@dataclass(frozen=True)
class Rules:
    """When a heat may end. With ``cpu_arm`` the alphas are split between wall clock and CPU time."""

    alpha_fail: float
    alpha_pass: float
    min_pairs: int
    min_s: float
    cap_s: float
    cpu_arm: bool

    @property
    def arms(self) -> int:
        """Return how many tests share each alpha."""
        return 2 if self.cpu_arm else 1


@dataclass(frozen=True)
class Heat:
    """The pairs of one heat and what they settled; ``outcome`` is ``None`` where nothing was asked."""

    outcome: Outcome | None
    reason: str
    pairs: tuple[Pair, ...]

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

    def outcome(self, rules: Rules) -> Outcome | None:
        """Return what these signs show by themselves, or ``None`` while they show nothing."""
        if self.above >= critical(self.trials, rules.alpha_fail / rules.arms):
            return Outcome.FAIL
        if self.below >= critical(self.trials, rules.alpha_pass / rules.arms):
            return Outcome.PASS
        return None


def rules_for(call_ns: float, config: RaceConfig) -> Rules:
    """Return the rules for calls that take about ``call_ns``.

    A call that is timed alone is often preempted on a crowded machine; its CPU time then varies 3 to 10 times
    less than its wall time. In bursts of shorter calls the median reading deals with that.
    """
    cpu_arm = config.threads == 1 and call_ns >= LONG_CALL_NS
    return Rules(
        alpha_fail=config.alpha_fail,
        alpha_pass=config.alpha_pass,
        min_pairs=config.min_pairs,
        min_s=config.min_s,
        cap_s=config.cap_for(call_ns),
        cpu_arm=cpu_arm,
    )


def decide(pairs: Iterable[Pair], limit: float, rules: Rules) -> Heat:
    """Take pairs until they show that the median ratio is above ``limit`` or below it, or until the cap.

    The sign of ``ratio - limit`` is tested, not the ratio: latencies are autocorrelated and heavy-tailed,
    the signs of interleaved pairs are neither. CPU times have no such tails, as nobody's preemption is in them: their
    ratios are weighed.
    """
    taken: list[Pair] = []
    wall, cpu = Signs(), Weighing()
    for pair in pairs:
        taken.append(pair)
        wall = wall.then(pair.ratio, limit)
        if rules.cpu_arm:
            cpu = cpu.then(pair.cpu_ratio, limit)
        if len(taken) >= rules.min_pairs and pair.elapsed_s >= rules.min_s:
            if outcome := wall.outcome(rules):
                return Heat(outcome, _majority(wall, limit), tuple(taken))
            outcome = _heavier(cpu, rules)
            if outcome and _wall_agrees(outcome, taken, limit) and off_cpu_share(taken) < MOST_WAITING:
                return Heat(outcome, _weighed(outcome, taken, limit), tuple(taken))
        if pair.elapsed_s >= rules.cap_s:
            break
    return Heat(Outcome.INCONCLUSIVE, _undecided(taken, limit, rules), tuple(taken))


def estimate(pairs: Iterable[Pair]) -> Heat:
    """Take pairs for 0.5 s and at least 30 of them, or 3 s; ask nothing of them."""
    taken: list[Pair] = []
    for pair in pairs:
        taken.append(pair)
        enough = len(taken) >= ESTIMATE_PAIRS and pair.elapsed_s >= ESTIMATE_S
        if enough or pair.elapsed_s >= ESTIMATE_CAP_S:
            break
    return Heat(None, f"estimated from {len(taken)} pairs", tuple(taken))


def off_cpu_share(pairs: Sequence[Pair]) -> float:
    """Return the share of time that calls were neither on a processor nor queued for one.

    It is the calls' own waiting: sleep, disk, another thread. On a crowded machine every long call is preempted;
    without the kernel's word on the queue that counts as waiting too.
    """
    busy_ns = sum(turn.cpu_ns + turn.queued_ns for turn in _turns(pairs))
    return max(0.0, 1 - busy_ns / sum(turn.mean_ns for turn in _turns(pairs)))


def queued_share(pairs: Sequence[Pair]) -> float:
    """Return the share of time that calls were queued for a processor: how crowded the machine was."""
    return sum(turn.queued_ns for turn in _turns(pairs)) / sum(turn.mean_ns for turn in _turns(pairs))


def _turns(pairs: Sequence[Pair]) -> Iterator[Turn]:
    return (turn for pair in pairs for turn in (pair.candidate, pair.reference))


def _heavier(weighing: Weighing, rules: Rules) -> Outcome | None:
    """What the sizes of CPU-time ratios show by themselves, or None while they show nothing."""
    if weighing.log_evidence_above >= -log(rules.alpha_fail / rules.arms):
        return Outcome.FAIL
    if weighing.log_evidence_below >= -log(rules.alpha_pass / rules.arms):
        return Outcome.PASS
    return None


def _wall_agrees(outcome: Outcome, pairs: Sequence[Pair], limit: float) -> bool:
    """CPU time may settle what the wall clock leaves open, never what it contradicts.

    A FAIL asks the wall clock for half of the slowdown allowed; where a speed-up is required, for all of it.
    """
    ratio = median(pair.ratio for pair in pairs)
    if outcome is Outcome.PASS:
        return ratio <= limit
    return ratio > min(limit, (1 + limit) / 2)


def _majority(signs: Signs, limit: float) -> str:
    side, count = ("above", signs.above) if signs.above > signs.below else ("below", signs.below)
    return f"{count} of {signs.trials} wall-clock ratios were {side} {limit:.4g}"


def _weighed(outcome: Outcome, pairs: Sequence[Pair], limit: float) -> str:
    failed = outcome is Outcome.FAIL
    count = sum((pair.cpu_ratio > limit) is failed for pair in pairs)
    side = "above" if failed else "below"
    return f"{count} of {len(pairs)} CPU-time ratios, weighed by their distance, were {side} {limit:.4g}"


def _undecided(pairs: Sequence[Pair], limit: float, rules: Rules) -> str:
    if len(pairs) < rules.min_pairs:
        return f"only {len(pairs)} pairs in {rules.cap_s:g} s, and a verdict needs {rules.min_pairs}"
    ratios = [pair.ratio for pair in pairs]
    low, high = median_interval(ratios, rules.alpha_fail)
    return (
        f"{len(pairs)} pairs in {rules.cap_s:g} s did not tell the ratio {median(ratios):.3f} "
        f"[{low:.3f}, {high:.3f}] from the limit {limit:.4g}"
    )
