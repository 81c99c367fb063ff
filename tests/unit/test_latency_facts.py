"""Measurements as flat facts, and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf

import pytest

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement, RatioMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.strain import Strain
from pytest_cpuaccel.report.facts import baseline, latency
from tests.unit.measurements import LATENCY, PERCENTILES, RACE, SELF_CHECK

TOO_FEW_PAIRS = replace(RACE, interval=(0.0, inf), cpu_ratio=None, confirmed=None, strain=Strain(load_after=1.0))

LATENCIES = {
    "all": LATENCY,
    "a race alone": LatencyMeasurement("ort", race=RACE),
    "percentiles alone": LatencyMeasurement("eager", percentiles=PERCENTILES),
    "too few pairs": LatencyMeasurement("eager", race=TOO_FEW_PAIRS),
    "nothing": LatencyMeasurement("eager"),
    "a machine that resolves nothing": replace(LATENCY, self_check=replace(SELF_CHECK, slowdown=inf)),
}
BY_RATIO = RatioMeasurement(
    Estimate(1.2, 1.1, 1.3).over(Estimate(0.7, 0.6, 0.9)), Estimate(1.2, 1.1, 1.3), Estimate(0.7, 0.6, 0.9), "eager"
)
BASELINES = {
    "raced": BaselineMeasurement("main", "race", 1.05, ("torch 1 -> 2", "the model"), replace(RACE, pairs_ns=())),
    "by ratio": BaselineMeasurement("main", "ratio", 1.05, by_ratio=BY_RATIO, self_check=SELF_CHECK),
    "unchanged": BaselineMeasurement("main", "unchanged", 1.05),
    "not raced": BaselineMeasurement("main", "race", 1.05, obstacle="does not run here"),
}


@pytest.mark.parametrize("found", LATENCIES.values(), ids=list(LATENCIES))
def test_a_latency_read_back_has_the_same_facts(found: LatencyMeasurement) -> None:
    facts = latency.flat(found)
    read = latency.read(facts)
    assert read is not None
    assert list(latency.flat(read).items()) == list(facts.items())


@pytest.mark.parametrize("found", BASELINES.values(), ids=list(BASELINES))
def test_a_baseline_read_back_has_the_same_facts(found: BaselineMeasurement) -> None:
    facts = baseline.flat(found)
    read = baseline.read(facts)
    assert read is not None
    assert list(baseline.flat(read).items()) == list(facts.items())


def test_a_race_read_back_is_the_race_but_for_what_was_shown() -> None:
    read = latency.read(latency.flat(LatencyMeasurement("eager", race=RACE)))
    assert read is not None
    unknown = replace(RACE, shown=None, reason="", strain=replace(RACE.strain, cpus=None))
    assert read.race == unknown


def test_facts_are_named_as_reports_know_them() -> None:
    assert latency.flat(LATENCY) == {
        "vs": "eager",
        "kv_cache": False,
        "without_kv_cache": "no cache that it knows",
        "threads_used": 1,
        "reference_threads_used": 1,
        "ratio": 1.07,
        "ratio_low": 1.06,
        "ratio_high": 1.09,
        "pairs": 3,
        "seconds": 0.5,
        "p50_ns": 215.0,
        "p90_ns": 300.0,
        "reference_p50_ns": 200.0,
        "reference_p90_ns": 300.0,
        "cpu_ratio": 1.08,
        "off_cpu_share": 0.01,
        "queued_share": 0.02,
        "context_switches": 4,
        "load_before": 1.5,
        "load_after": 2.25,
        "cpu_waiting_before": 0.01,
        "cpu_waiting_after": 0.02,
        "confirmed": True,
        "threads": 1,
        "seed": 7,
        "throttled": 0,
        "steal": 0.001,
        "pairs_ns": "107/100 214/200 321/300",
        "p99_ns": 330.0,
        "percentile_calls": 900,
        "percentile_seconds": 4.25,
        "percentile_context_switches": 3,
        "probe_slowdown": 1.02,
        "percentile_throttled": 1,
        "percentile_steal": 0.002,
        "p50_held_blocks": 8,
        "p50_blocks": 8,
        "p99_held_blocks": 70,
        "p99_blocks": 70,
        "p99_more_blocks": 458,
        "items": 3,
        "items_per_s": 3e9 / 215.0,
        "throughput_held_blocks": 1,
        "throughput_blocks": 30,
        "ttft_ns": 110.0,
        "ttft_held_blocks": 8,
        "ttft_blocks": 8,
        "aa_ratio": 1.001,
        "aa_pairs": 80,
        "aa_seconds": 1.25,
        "aa_slowdown": 0.0101,
        "inputs": "x: 2x16 float32",
        "artifact": "0123abcd",
    }


def test_facts_can_be_carried_by_json() -> None:
    for found in LATENCIES.values():
        facts = latency.flat(found)
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts


@pytest.mark.parametrize("facts", [{}, {"verdict": "INCONCLUSIVE", "sentence": "not measured"}])
def test_where_nothing_was_measured_nothing_is_read(facts: dict[str, str]) -> None:
    assert latency.read(facts) is None
    assert baseline.read(facts) is None
