"""The JSON Schema in docs/: it takes what is written, and nothing with a wrong name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, Flip
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    Environments,
    Quantity,
    Resource,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.memory import ArtifactSize, MemoryMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement
from pytest_cpuaccel.core.parity_summary import OutputCounts, OutputSummary, ParitySummary, TokenSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.core.verdict import Kind, Measurement, Outcome, Verdict
from pytest_cpuaccel.report.environment import environment
from pytest_cpuaccel.report.json_file import JsonFile
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import new_run
from pytest_cpuaccel.report.saved import read_report
from tests.unit.measurements import LATENCY
from tests.unit.rows import ENVIRONMENT, HINT, RUN, ended
from tests.unit.test_facts import BUILD, COLD_START, PARITY, PROCESS, SCORES
from tests.unit.test_latency_facts import BASELINES, LATENCIES

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
EVERY_COUNT: Mapping[str, Any] = dict.fromkeys(
    ("longest_sum", "top1_hits", "top1_positions", "mismatched_nonfinite", "different_elements"), 3
)
WORST = OutputSummary(
    **dict.fromkeys(OutputSummary.__dataclass_fields__, 0.5) | EVERY_COUNT | {"locked_by": "a.toml:7"}
)
TOKENS = TokenSummary(5, 4, 0.1, 0.9, 0.8, 3, 0, 17, 18, 0.2, 0.1, -0.1, 4, 3)
FLIPS = (Flip(0, 0.0, 1.0), Flip(7, 1.0, 0.0, "yes", "no"))
NAMES = Environments("this environment", "old", ("onnxruntime 1.22.1 -> 1.31.1",))
RACE = CrewRaceMeasurement(
    1.1, (1.0, 1.2), (0.1,), (0.1,), 4, 20, 2.5, 1e6, 1.1e6, 1.05, 0.5, 1, 0, Shown.OPEN, "short"
)
RESOURCES = tuple(Resource(quantity, (1.5, 2), (3,), Shown.BELOW) for quantity in get_args(Quantity))
MEASURED: list[tuple[Kind, Measurement | None]] = [
    ("parity", PARITY),
    ("parity", ParitySummary("far", Precision.BF16, OutputCounts("y", 2, 1, 9, 1), None, WORST, 3, ("latency",))),
    ("parity", ParitySummary("4 of 5", None, None, TOKENS, OutputSummary(cosine=nan, max_abs=inf))),
    *(("latency", found) for found in LATENCIES.values()),
    *(("baseline", found) for found in BASELINES.values()),
    ("startup", StartupMeasurement(COLD_START, BUILD)),
    ("startup", None),
    ("kernels", None),
    ("memory", MemoryMeasurement(PROCESS, ArtifactSize(12))),
    ("answers", AnswersMeasurement(NAMES, "2e-7", "1e-7", 3e-7, 4, "1.0")),
    ("answers", AnswersMeasurement(NAMES, move=inf, obstacle="there is no such test")),
    ("environment", EnvironmentMeasurement(NAMES, 1.05, obstacle="gone", alone="fails")),
    ("environment", EnvironmentMeasurement(NAMES, 1.05, RACE)),
    ("environment", EnvironmentMeasurement(NAMES, 1.05, replace(RACE, ratio=None, interval=(0.0, inf)))),
    ("resources", ResourcesMeasurement(NAMES, 1.05, RESOURCES)),
    ("accuracy", SCORES),
    ("accuracy", AccuracyMeasurement(3, nan, 0.5, nan)),
    ("accuracy", AccuracyMeasurement(3, 0.5, 1.0, 0.5, flipped=FLIPS, given=9, metric="F1")),
]
BOUNDS = (Bounds("drop", 0.01, -0.1, 0.1, 3, 2, 40), Bounds("score", 0.9))

LOCALIZATION = Localization(
    module="encoder.dense",
    type="Linear",
    starts_inside=True,
    at_output=400.0,
    at_input=1.0,
    actual=0.5,
    expected=0.25,
    growth=(ModuleError("encoder", "Mlp", 1e-7, 1e-7), ModuleError("encoder.dense", "Linear", inf, 1e-7)),
    method="hooks on 2 modules",
)
SENSITIVITY = Sensitivity(
    (ModuleError("head", "Linear", inf, 1e-7), ModuleError("encoder.dense", "Linear", 0.1, 1e-7)),
    method="a copy",
    keep_fp32=("head",),
    sqnr_before=8.0,
    sqnr_after=19.5,
    builds=3,
    seconds=1.5,
    note="-",
)
CENSUS = KernelCensus(
    "a profiler", (Kernel("MatMul", 2, "fp32", "fp32", "sgemm", 3.5), Kernel("Gelu", 1)), False, ("Gelu",), "avx2", 0
)


@pytest.fixture(scope="module")
def schema() -> Any:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def written(path: Path, rows: list[Row]) -> dict[str, Any]:
    file = JsonFile(path, RUN, ENVIRONMENT)
    file.put("a", rows)
    file.finish(RUN)
    return json.loads(path.read_text())


def row_of(kind: Kind, measurement: Measurement | None, outcome: Outcome) -> Row:
    bounds = BOUNDS if kind == "accuracy" else ()
    verdict = Verdict(kind, outcome, "a sentence", ("evidence",), (HINT,), ("a note",), measurement, bounds)
    bare = replace(verdict, evidence=(), diagnoses=(), notes=())
    return Row("t.py::test_it[ort]", "passed", Result("M", "ort", "forward", (verdict if bounds else bare,)))


def errors(schema: Any, report: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(report)]


def test_where_an_answer_goes_wrong_and_what_ran_are_written_and_read_back(schema: Any, tmp_path: Path) -> None:
    found = {"localization": LOCALIZATION, "sensitivity": SENSITIVITY}
    wrong = Verdict("parity", Outcome.FAIL, "far", measurement=PARITY, **found)
    row = Row("t.py::test_it[ort]", "failed", Result("M", "ort", "forward", (wrong,), CENSUS))
    path = tmp_path / "r.json"
    assert errors(schema, written(path, [row])) == []
    (read,) = read_report(path).rows
    assert read.result.kernels == CENSUS
    assert read.result.verdicts[0].localization == LOCALIZATION
    assert read.result.verdicts[0].sensitivity == SENSITIVITY
    bare = replace(row, result=replace(row.result, kernels=KernelCensus("a profiler", ())))
    assert errors(schema, written(path, [bare])) == []
    assert read_report(path).rows[0].result.kernels == bare.result.kernels


def test_it_is_a_schema_of_its_draft(schema: Any) -> None:
    schema.check_schema(schema.schema)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize(("kind", "measurement"), MEASURED)
def test_it_takes_every_kind_of_verdict(
    schema: Any, tmp_path: Path, kind: Kind, measurement: Measurement | None, outcome: Outcome
) -> None:
    assert errors(schema, written(tmp_path / "r.json", [row_of(kind, measurement, outcome)])) == []


@pytest.mark.parametrize("kind", ["refused", "skipped", "failed", "error", "not judged"])
def test_it_takes_a_test_without_a_verdict(schema: Any, tmp_path: Path, kind: Any) -> None:
    assert errors(schema, written(tmp_path / "r.json", [ended("t.py::test_it[ort]", kind, "why", "xfailed")])) == []


def test_it_takes_the_run_and_the_environment_of_this_machine(schema: Any, tmp_path: Path) -> None:
    JsonFile(tmp_path / "r.json", new_run(["pytest", "a b"], tmp_path), environment((), 2))
    assert errors(schema, json.loads((tmp_path / "r.json").read_text())) == []


def test_null_stands_for_what_is_not_finite(schema: Any, tmp_path: Path) -> None:
    report = written(tmp_path / "r.json", [row_of("accuracy", AccuracyMeasurement(3, nan, 0.5, nan), Outcome.FAIL)])
    assert report["results"][0]["accuracy"]["score"] is None
    assert errors(schema, report) == []


@pytest.mark.parametrize(("kind", "measurement"), MEASURED[:1] + MEASURED[3:4] + MEASURED[-2:])
def test_it_takes_no_fact_of_another_name(
    schema: Any, tmp_path: Path, kind: Kind, measurement: Measurement | None
) -> None:
    report = written(tmp_path / "r.json", [row_of(kind, measurement, Outcome.PASS)])
    report["results"][0][kind]["p50_sn"] = 3
    assert errors(schema, report)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "passt"},
        {"verdict": "PASS"},
        {"ending": {"kind": "refused", "reason": "and judged"}},
        {"parity": {"verdict": "MAYBE", "sentence": ""}},
        {"parity": {"verdict": "PASS"}},
    ],
)
def test_it_takes_no_result_of_another_form(schema: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    report = written(tmp_path / "r.json", [row_of("parity", PARITY, Outcome.PASS)])
    assert errors(schema, report) == []
    report["results"][0] |= change
    assert errors(schema, report)


def test_every_parity_figure_of_the_code_is_in_it(schema: Any) -> None:
    known = schema.schema["$defs"]["parity"]["properties"]
    fields = (
        *OutputSummary.__dataclass_fields__,
        *OutputCounts.__dataclass_fields__,
        *TokenSummary.__dataclass_fields__,
    )
    assert set(fields) <= set(known)


def test_latency_is_the_raw_pairs_too(schema: Any, tmp_path: Path) -> None:
    report = written(tmp_path / "r.json", [row_of("latency", LATENCY, Outcome.PASS)])
    report["results"][0]["latency"]["pairs_ns"] = [[1]]
    assert errors(schema, report)
