"""The scale on which extra work is weighed against a call: CPU time."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gates.calibration import SLOWDOWNS, STANDARD_SLOWDOWN, Calibration
from benchmarks.gates.work import ROUND_NS, Work, with_work
from pytest_cpuaccel.measure.latency.pair import Pair, take_pairs
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.side import local_sides
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Burst, TimedCall
from pytest_cpuaccel.measure.latency.warmup import warm_up

_CORRECTIONS = 4
_NEAR_ENOUGH = 0.05
_LEAST_PAIRS = 15
_LEAST_S = 1.5
_LEAST_SHARE = 1e-3
_UNDISTURBED = 0.1
"""The quantile of CPU times that is looked at: a turn that was preempted has its caches to fill again."""

_WARMUP_CAP_S = 1.0


def calibrate(call: TimedCall, model: str, backend: str) -> Iterator[Calibration]:
    """Yield a calibration for the standard slowdown, then for each of the others.

    One build does both sides, so that the difference between two does not get in.
    """
    call_ns = warm_up(call, _WARMUP_CAP_S)
    burst = Burst(0, 1, 1) if call_ns >= LONG_CALL_NS else Burst(discarded=1, timed=20, batch=1)
    rounds = max(1, round(call_ns * STANDARD_SLOWDOWN / 100 / ROUND_NS))
    share = _share(call, rounds, burst)
    for _ in range(_CORRECTIONS):
        if abs(100 * share / STANDARD_SLOWDOWN - 1) < _NEAR_ENOUGH:
            break
        rounds = max(1, round(rounds * STANDARD_SLOWDOWN / 100 / share))
        share = _share(call, rounds, burst)
    standard = Calibration(model, backend, STANDARD_SLOWDOWN, rounds, share)
    yield standard
    for slowdown in SLOWDOWNS:
        if slowdown not in (0, STANDARD_SLOWDOWN):
            rounds = max(1, round(standard.rounds_per_call * slowdown / 100))
            yield Calibration(model, backend, slowdown, rounds, _share(call, rounds, burst))


def _share(call: TimedCall, rounds: int, burst: Burst) -> float:
    pairs: list[Pair] = []
    for pair in take_pairs(local_sides(with_work(call, Work(rounds)), with_work(call, Work())), burst, seed=0):
        pairs.append(pair)
        if len(pairs) >= _LEAST_PAIRS and pair.elapsed_s >= _LEAST_S:
            break
    candidate_ns = quantile([pair.candidate.cpu_ns for pair in pairs], _UNDISTURBED)
    reference_ns = quantile([pair.reference.cpu_ns for pair in pairs], _UNDISTURBED)
    return max(_LEAST_SHARE, candidate_ns / reference_ns - 1)
