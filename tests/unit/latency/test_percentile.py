from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.core.measurement.latency import LimitMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.latency import judge_limit
from pytest_cpuaccel.measure.latency.block import Block
from pytest_cpuaccel.measure.latency.call_times import Reading, read_latency
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.percentile import measure_limits, measure_percentiles
from pytest_cpuaccel.measure.latency.probe import Probe
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.running_percentiles import RunningPercentiles
from pytest_cpuaccel.measure.latency.side import LocalSide
from pytest_cpuaccel.report.facts.percentiles import flat
from tests.unit.latency import streams
from tests.unit.latency.clock import Clock

MS = 1e6
LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(frozen=True)
class Hold:
    """What is found and said of one limit."""

    outcome: Outcome
    sentence: str
    blocks: int
    more_blocks: int | None

    @property
    def reason(self) -> str:
        """The end of the sentence, in brackets."""
        return self.sentence.partition(" (")[2].removesuffix(")")


def limits_of(budgets: Mapping[str, float]) -> dict[str, Limit]:
    return {name: Limit(ns, LEVELS[name]) for name, ns in budgets.items()}


def judge(
    blocks: Iterable[Block],
    budgets: Mapping[str, float],
    *,
    cap_s: float = 10.0,
    best_probe_ns: float = 1000.0,
) -> tuple[dict[str, Hold], float]:
    """Return the holds and the seconds they took."""
    seen = RunningPercentiles("latency", [LEVELS[name] for name in budgets], best_probe_ns)
    found = measure_limits(blocks, limits_of(budgets), RaceConfig(), cap_s, {"latency": seen})
    return holds_of(found, limits_of(budgets)), seen.blocks[-1].elapsed_s


def holds_of(found: Mapping[str, LimitMeasurement], limits: Mapping[str, Limit]) -> dict[str, Hold]:
    holds = {}
    for name, limit in limits.items():
        part = judge_limit(name, limit, found[name])
        assert part.outcome is not None
        holds[name] = Hold(part.outcome, part.sentence, found[name].blocks, found[name].more_blocks)
    return holds


def sentence_of(holds: Mapping[str, Hold]) -> str:
    """What the verdict on these limits says."""
    worst = Outcome.worst(hold.outcome for hold in holds.values())
    return "; ".join(hold.sentence for hold in holds.values() if hold.outcome is worst)


@pytest.mark.parametrize(("level", "value"), [(0.5, 5), (0.9, 9), (0.99, 10), (0.0, 1)])
def test_a_quantile_is_one_of_the_values(level: float, value: int) -> None:
    assert quantile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], level) == value


@pytest.mark.parametrize("call_ns", [0.1 * MS, 10 * MS, 30 * MS])
def test_a_median_well_inside_its_budget_passes_within_a_second(call_ns: float) -> None:
    holds, seconds = judge(streams.blocks(call_ns, noise=0.1), {"p50": 1.5 * call_ns})
    assert holds["p50"].outcome is Outcome.PASS
    assert holds["p50"].reason == "8 of 8 drawn calls kept the budget"
    assert seconds < 1


@pytest.mark.parametrize("call_ns", [0.1 * MS, 10 * MS, 30 * MS])
def test_a_median_far_over_its_budget_fails_within_two_seconds(call_ns: float) -> None:
    holds, seconds = judge(streams.blocks(call_ns, noise=0.1), {"p50": call_ns / 2})
    assert holds["p50"].outcome is Outcome.FAIL
    assert 1 <= seconds < 2


@pytest.mark.parametrize("call_ns", [1 * MS, 30 * MS])
def test_a_median_a_tenth_over_its_budget_fails(call_ns: float) -> None:
    holds, _ = judge(streams.blocks(call_ns, noise=0.05), {"p50": call_ns / 1.1})
    assert holds["p50"].outcome is Outcome.FAIL


def test_one_good_window_saves_a_median_from_failing() -> None:
    def blocks() -> Iterable[Block]:
        for count, block in enumerate(streams.blocks(1.2 * MS, noise=0.05)):
            yield block if count != 5 else next(streams.blocks(0.9 * MS))

    holds, seconds = judge(blocks(), {"p50": 1 * MS})
    assert holds["p50"].outcome is Outcome.INCONCLUSIVE
    assert "but in its best moments p50 was 900 us" in holds["p50"].reason
    assert seconds >= 10


def test_a_machine_that_is_not_itself_fails_nobody() -> None:
    holds, _ = judge(streams.blocks(1.2 * MS, probe_ns=1300), {"p50": 1 * MS})
    assert holds["p50"].outcome is Outcome.INCONCLUSIVE
    assert "the machine was not itself: p50 of a probe was 1.30 times its best" in holds["p50"].reason


def test_a_machine_that_is_not_itself_still_lets_a_call_pass() -> None:
    holds, _ = judge(streams.blocks(0.5 * MS, probe_ns=1300), {"p50": 1 * MS})
    assert holds["p50"].outcome is Outcome.PASS


def test_p99_passes_on_clean_blocks_given_half_a_minute() -> None:
    holds, seconds = judge(streams.blocks(1 * MS), {"p99": 2 * MS}, cap_s=30)
    assert holds["p99"].outcome is Outcome.PASS
    assert holds["p99"].blocks >= 459
    assert seconds < 30


def test_p99_without_the_time_says_how_many_more_blocks_it_needs() -> None:
    holds, _ = judge(streams.blocks(1 * MS), {"p99": 2 * MS}, cap_s=10)
    short = holds["p99"]
    assert short.outcome is Outcome.INCONCLUSIVE
    assert short.more_blocks is not None
    assert f"needs {short.more_blocks} more blocks" in short.reason
    longer, _ = judge(streams.blocks(1 * MS), {"p99": 2 * MS}, cap_s=30)
    assert short.blocks + short.more_blocks == longer["p99"].blocks


def test_every_budget_gets_its_own_verdict() -> None:
    """Three calls in ten are slow: the median holds, p90 does not."""
    holds, _ = judge(streams.blocks(1 * MS, noise=0.02, slow_share=0.3), {"p50": 2 * MS, "p90": 2 * MS})
    assert holds["p50"].outcome is Outcome.PASS
    assert holds["p90"].outcome is Outcome.FAIL


def test_a_median_over_a_p90_budget_fails_p90() -> None:
    holds, _ = judge(streams.blocks(3 * MS, noise=0.02), {"p90": 2 * MS})
    assert holds["p90"].outcome is Outcome.FAIL


def test_calls_slower_than_half_a_second_fail_on_their_fastest() -> None:
    holds, seconds = judge(streams.blocks(500 * MS, noise=0.05), {"p50": 300 * MS}, cap_s=30)
    assert holds["p50"].outcome is Outcome.FAIL
    assert seconds < 10


@pytest.mark.parametrize("name", ["p50", "p90"])
def test_a_percentile_at_its_budget_passes_no_more_often_than_stated(name: str) -> None:
    slow_share = 1 - LEVELS[name]
    passed = 0
    for seed in range(100):
        stream = streams.blocks(25 * MS, slow_share=slow_share, seed=seed)
        passed += judge(stream, {name: 30 * MS}, cap_s=5)[0][name].outcome is Outcome.PASS
    assert passed <= 3


def test_a_live_hold_gives_scalars_and_a_sentence_with_both_numbers(clock: Clock) -> None:
    budgets = {"p50": 20 * MS, "p90": 40 * MS}
    read = partial(read_latency, LocalSide(clock.call(30_000_000)))
    result = measure_percentiles(read, limits_of(budgets), RaceConfig(), SteadyProbe())
    holds = holds_of(result.limits, limits_of(budgets))
    assert sentence_of(holds).startswith("p50 was 30.0 ms, budget 20.0 ms (")
    assert (holds["p50"].outcome, holds["p90"].outcome) == (Outcome.FAIL, Outcome.PASS)
    assert json.loads(json.dumps(flat(result), allow_nan=False)) == flat(result)
    assert flat(result)["p50_ns"] == 30_000_000
    assert flat(result)["p90_held_blocks"] == holds["p90"].blocks


def test_a_p99_budget_gets_the_long_cap_without_being_asked(clock: Clock) -> None:
    read = partial(read_latency, LocalSide(clock.call(1_000_000)))
    result = measure_percentiles(read, limits_of({"p99": 2 * MS}), RaceConfig(), SteadyProbe())
    assert result.limits["p99"].shown is Shown.BELOW
    assert 20 < result.seconds < 30


def test_throughput_is_items_over_the_median_and_says_so(clock: Clock) -> None:
    read = partial(read_latency, LocalSide(clock.call(30_000_000)))
    limits = {"throughput": Limit(8 / 400 * 1e9, items=8), "p50": Limit(40 * MS)}
    result = measure_percentiles(read, limits, RaceConfig(), SteadyProbe())
    holds = holds_of(result.limits, limits)
    assert holds["throughput"].outcome is Outcome.FAIL
    assert sentence_of(holds).startswith("throughput was 267 items/s, budget 400 items/s (")
    assert holds["p50"].outcome is Outcome.PASS
    assert (flat(result)["items"], round(flat(result)["items_per_s"])) == (8, 267)


def test_tokens_are_held_to_limits_of_their_own_beside_the_whole_call(clock: Clock) -> None:
    whole = LocalSide(clock.call(30_000_000))
    limits = {"p50": Limit(20 * MS), "ttft": Limit(12 * MS, quantity="ttft"), "tpot": Limit(1 * MS, quantity="tpot")}

    def read() -> Reading:
        return {**read_latency(whole), "ttft": 10 * MS, "tpot": 2 * MS}

    result = measure_percentiles(read, limits, RaceConfig(), SteadyProbe())
    holds = holds_of(result.limits, limits)
    assert {name: hold.outcome.value for name, hold in holds.items()} == {
        "p50": "FAIL",
        "ttft": "PASS",
        "tpot": "FAIL",
    }
    assert "tpot was 2.00 ms, budget 1.00 ms (" in sentence_of(holds)
    assert (flat(result)["ttft_ns"], flat(result)["tpot_ns"]) == (10 * MS, 2 * MS)


def test_a_run_too_short_to_fail_says_how_many_more_blocks_would() -> None:
    def but_for_one() -> Iterator[Block]:
        for count, block in enumerate(streams.blocks(700 * MS)):
            yield block if count else next(streams.blocks(400 * MS))

    short = judge(but_for_one(), {"p50": 500 * MS}, cap_s=30)[0]["p50"]
    assert short.outcome is Outcome.INCONCLUSIVE
    assert short.more_blocks is not None
    assert f"broke the budget; needs {short.more_blocks} more blocks that all do, about 4.9" in short.reason
    longer = judge(but_for_one(), {"p50": 500 * MS}, cap_s=60)[0]["p50"]
    assert (longer.outcome, longer.blocks) == (Outcome.FAIL, short.blocks + short.more_blocks)


class SteadyProbe(Probe):
    def time_ns(self) -> float:
        self.best_ns = 1000.0
        return 1000.0
