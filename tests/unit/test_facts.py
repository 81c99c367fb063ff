"""Results as flat facts, and read back."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores
from pytest_cpuaccel.core.measurement.memory import (
    ArtifactSize,
    FileSize,
    MemoryMeasurement,
    ProcessMemory,
    StageMemory,
)
from pytest_cpuaccel.core.measurement.startup import Attempt, StageTime, Starts, StartupMeasurement
from pytest_cpuaccel.core.parity_summary import OutputCounts, OutputSummary, ParitySummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.report.facts import accuracy, bounds, localization, memory, sensitivity, startup
from pytest_cpuaccel.report.facts.result import facts_of, result_of

SCORES = AccuracyMeasurement(2, 0.5, 1.0, 0.5, PairedScores((0.0, 1.0), (1.0, 1.0)))
PARITY = ParitySummary("1e-07", Precision.FP32, OutputCounts("logits", 1, 0, 20, 0), worst=OutputSummary(max_abs=1e-7))
PROCESS = ProcessMemory((StageMemory("imports", 100), StageMemory("first call", 300)), 400, 50)
COLD_START = Starts(
    (
        Attempt(90, 5, 1.2, False, (StageTime("imports", 40), StageTime("first call", 50))),
        Attempt(80, 4, 1.1, True, (StageTime("imports", 30), StageTime("first call", 50))),
    )
)
BUILD = Starts((Attempt(70, 0, 1.0, True, (StageTime("export", 60), StageTime("load", 10))),))


@pytest.mark.parametrize(
    ("kind", "measurement", "facts"),
    [
        (
            accuracy,
            SCORES,
            {"items": 2, "score": 0.5, "eager_score": 1.0, "drop": 0.5, "figure": "0.500 (eager 1.000)"},
        ),
        (
            memory,
            MemoryMeasurement(PROCESS, ArtifactSize(12, (FileSize("a", 12),))),
            {
                "peak_bytes": 400,
                "above_imports_bytes": 300,
                "anonymous_bytes": 50,
                "after_imports_bytes": 100,
                "after_first_call_bytes": 300,
                "artifact_bytes": 12,
            },
        ),
        (memory, MemoryMeasurement(artifact=ArtifactSize(12)), {"artifact_bytes": 12}),
        (
            startup,
            StartupMeasurement(COLD_START, BUILD),
            {
                "cold_start_imports_ns": 30,
                "cold_start_first_call_ns": 50,
                "cold_start_ns": 80,
                "cold_start_queued_ns": 4,
                "cold_start_attempts_ns": "90 80",
                "cold_start_probe_slowdown": 1.1,
                "build_export_ns": 60,
                "build_load_ns": 10,
                "build_ns": 70,
                "build_queued_ns": 0,
                "build_attempts_ns": "70",
                "build_probe_slowdown": 1.0,
            },
        ),
        (
            bounds,
            (Bounds("drop", 0.01, -0.1, 0.1, 3, 2, 40), Bounds("score", 0.9, 0.8, 0.95)),
            {
                "max_drop": 0.01,
                "drop_lower": -0.1,
                "drop_upper": 0.1,
                "lost_items": 3,
                "gained_items": 2,
                "more_items": 40,
                "min_score": 0.9,
                "score_lower": 0.8,
                "score_upper": 0.95,
            },
        ),
        (bounds, (Bounds("score", 0.9),), {"min_score": 0.9, "of": "these"}),
    ],
)
def test_what_is_measured_becomes_facts_and_is_read_back(kind: Any, measurement: Any, facts: dict[str, Any]) -> None:
    assert kind.flat(measurement) == facts
    assert kind.flat(kind.read(facts)) == facts


def test_a_figure_tells_after_how_many_items_it_was_decided() -> None:
    early = AccuracyMeasurement(64, 0.5, 1.0, 0.5, given=2000)
    assert accuracy.figure(early) == "0.500 (eager 1.000; 64 of 2000 items)"
    assert accuracy.read(accuracy.flat(early)) == early


def test_the_error_of_a_model_that_is_one_module_is_read_back() -> None:
    modules = (ModuleError("", "Linear", inf, 2e-7),)
    for kind, found in ((localization, Localization(growth=modules)), (sensitivity, Sensitivity(modules=modules))):
        assert kind.read(kind.flat(found)) == found


@pytest.mark.parametrize("kind", [accuracy, memory, startup])
@pytest.mark.parametrize("facts", [{}, {"items": 2, "peak_bytes": 4, "cold_start_ns": 9}, {"build_attempts_ns": "a b"}])
def test_facts_that_are_not_all_there_are_no_measurement(kind: Any, facts: dict[str, Any]) -> None:
    assert kind.read(facts) is None


def test_a_result_is_read_back_with_what_was_measured() -> None:
    verdicts = (
        Verdict("parity", Outcome.PASS, "alike", measurement=PARITY),
        Verdict("accuracy", Outcome.FAIL, "worse", measurement=SCORES, bounds=(Bounds("drop", 0.01),)),
        Verdict("startup", Outcome.INCONCLUSIVE, "not measured"),
        Verdict("memory", Outcome.PASS, "small", measurement=MemoryMeasurement(PROCESS)),
    )
    result = Result("Mlp", "ort", "forward 2x16", verdicts)
    read = result_of(dict(facts_of(result)))
    assert dict(facts_of(read)) == dict(facts_of(result))
    assert [verdict.kind for verdict in read.verdicts] == ["parity", "accuracy", "startup", "memory"]
    assert read.verdicts[0] == verdicts[0]
    assert read.verdicts[2:] == verdicts[2:]
    assert read.verdicts[1].bounds == verdicts[1].bounds
