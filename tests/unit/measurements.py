"""Measurements, as a machine could have given them."""

from __future__ import annotations

from pytest_cpuaccel.core.measurement.latency import (
    LatencyMeasurement,
    LimitMeasurement,
    PercentileMeasurement,
    RaceMeasurement,
    SelfCheck,
)
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.measurement.strain import Strain

RACE = RaceMeasurement(
    ratio=1.07,
    interval=(1.06, 1.09),
    pairs=3,
    pairs_ns=((107.0, 100.0), (214.0, 200.0), (321.0, 300.0)),
    seconds=0.5,
    p50_ns=214.0,
    p90_ns=321.0,
    reference_p50_ns=200.0,
    reference_p90_ns=300.0,
    cpu_ratio=1.08,
    off_cpu_share=0.01,
    queued_share=0.02,
    context_switches=4,
    strain=Strain(1.5, 1.75, 0.01, 0.02, 0, 0.001, cpus=4),
    confirmed=True,
    threads=1,
    seed=7,
    shown=Shown.ABOVE,
    reason="3 of 3 wall-clock ratios were above 1.05",
)

PERCENTILES = PercentileMeasurement(
    limits={
        "p50": LimitMeasurement("latency", 0.5, 215.0, 8, 8, shown=Shown.BELOW),
        "p99": LimitMeasurement("latency", 0.99, 330.0, 70, 70, 458, shown=Shown.OPEN, block_s=0.05),
        "throughput": LimitMeasurement("latency", 0.5, 215.0, 1, 30, items=3, shown=Shown.ABOVE),
        "ttft": LimitMeasurement("ttft", 0.5, 110.0, 8, 8, shown=Shown.BELOW),
    },
    p50_ns=215.0,
    p90_ns=300.0,
    p99_ns=330.0,
    calls=900,
    seconds=4.25,
    probe_slowdown=1.02,
    context_switches=3,
    strain=Strain(load_after=2.25, throttled=1, steal=0.002, cpus=4),
)

SELF_CHECK = SelfCheck(1.001, (0.99, 1.01), 0.0101, 80, 1.25, 100.0)

LATENCY = LatencyMeasurement(
    vs="eager",
    race=RACE,
    percentiles=PERCENTILES,
    threads_used=1,
    reference_threads_used=1,
    without_kv_cache="no cache that it knows",
    self_check=SELF_CHECK,
    inputs="x: 2x16 float32",
    artifact="0123abcd",
)
