"""The table: which columns it has, and how it is folded on a terminal that is too narrow for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.closing import closing
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.facts.result import result_of
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import COLUMNS, in_order, short_names, table
from pytest_cpuaccel.report.terminal import summary

FACTS = {
    "model": "BertModel",
    "call": "forward 1x128",
    "parity.verdict": "PASS",
    "parity.figure": "1.4e-07 (1.0x fp32 rounding)",
    "accuracy.verdict": "PASS",
    "accuracy.items": 100,
    "accuracy.score": 0.95,
    "accuracy.eager_score": 0.96,
    "accuracy.drop": 0.01,
    "latency.p50_ns": 1.5e6,
    "latency.p90_ns": 2.5e6,
    "latency.p90_held_blocks": 49,
    "latency.p90_blocks": 49,
    "latency.p99_ns": 3.5e6,
    "latency.p99_held_blocks": 528,
    "latency.p99_blocks": 528,
    "latency.percentile_calls": 9000,
    "latency.items": 8,
    "latency.throughput_held_blocks": 8,
    "latency.throughput_blocks": 8,
    "latency.ttft_ns": 1e6,
    "latency.ttft_held_blocks": 8,
    "latency.ttft_blocks": 8,
    "latency.tpot_ns": 1e5,
    "latency.tpot_held_blocks": 8,
    "latency.tpot_blocks": 8,
    "latency.ratio": 0.5,
    "latency.vs": "eager",
    "baseline.verdict": "PASS",
    "baseline.name": "main",
    "baseline.how": "unchanged",
    "baseline.allowed": 1.05,
    "baseline.figure": "unchanged",
    "environment.verdict": "PASS",
    "environment.candidate": "this environment",
    "environment.reference": "old",
    "environment.allowed": 1.05,
    "startup.cold_start_attempts_ns": "3000000000",
    "startup.build_attempts_ns": "7000000000 6000000000",
    "memory.peak_bytes": 2.5e8,
    "memory.anonymous_bytes": 2e8,
    "memory.after_imports_bytes": 1e8,
    "memory.artifact_bytes": 5e4,
    "latency.verdict": "FAIL",
    "startup.verdict": "FAIL",
    "memory.verdict": "FAIL",
}


def row(backend: str, **facts: Scalar) -> Row:
    result = result_of({**FACTS, "backend": backend, **facts})
    return Row(f"test_it.py::test_it[{backend}]", "passed", result)


def shown(width: float) -> Iterator[str]:
    rows = in_order([row("ort"), row("openvino"), row("ort", call="forward 8x128")])
    return (line for line, _ in summary(rows, (), width))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_table_too_wide_for_the_terminal_is_folded_and_keeps_every_column(width: int) -> None:
    lines = list(shown(width))
    assert max(map(len, lines)) <= width
    assert {name for name in COLUMNS if any(f"  {name}" in line for line in lines)} == {*COLUMNS[4:]}
    assert lines.count("BertModel, forward 1x128:") == lines.count("BertModel, forward 8x128:") == lines.count("") + 1
    assert sum(line.startswith("openvino  ") for line in lines) == lines.count("") + 1


def test_a_table_that_fits_stays_whole() -> None:
    assert next(shown(1000)).split() == " ".join(COLUMNS[1:]).split()


def test_percentiles_other_than_the_median_are_shown_where_they_had_a_budget() -> None:
    headings, (line,) = table([row("ort")])
    assert line[headings.index("p90")] == "2.50 ms"
    raced = {"latency.verdict": "PASS", "latency.vs": "eager", "latency.p50_ns": 1e6, "latency.p90_ns": 2e6}
    headings, _ = table([Row("t", "passed", result_of({**raced, "latency.ratio": 0.5}))])
    assert headings == ["backend", "p50", "vs eager", "verdict"]


def test_a_ratio_of_a_build_without_a_key_value_cache_says_so() -> None:
    facts = {"latency.verdict": "PASS", "latency.ratio": 2.0, "latency.vs": "eager", "latency.kv_cache": False}
    headings, lines = table([Row("t", "passed", result_of(facts))])
    assert lines[0][headings.index("vs eager")] == "0.50x (no KV cache)"


def test_rows_of_two_tests_are_never_joined_and_the_test_stands_in_front() -> None:
    result = result_of({**FACTS, "backend": "ort"})
    rows = [Row(f"test_it.py::{name}[ort]", "passed", result) for name in ("test_a", "test_b")]
    headings, lines = table(rows)
    assert headings[:3] == ["test", "model", "call"]
    assert [line[0] for line in lines] == ["test_a", "test_b"]


@pytest.mark.parametrize(
    ("test", "backend", "title"),
    [
        ("t.py::test_it[ort]", "ort", "t.py::test_it"),
        ("t.py::test_it[ort-int8-3]", "ort-int8", "t.py::test_it[3]"),
        ("t.py::test_it[3-ort]", "ort", "t.py::test_it[3]"),
        ("t.py::test_it[port-ort]", "ort", "t.py::test_it[port]"),
        ("t.py::test_it[3]", "ort", "t.py::test_it[3]"),
        ("t.py::test_it", "ort", "t.py::test_it"),
        ("t.py::test_it[none]", "", "t.py::test_it[none]"),
    ],
)
def test_the_title_of_a_test_is_the_same_under_every_backend(test: str, backend: str, title: str) -> None:
    assert Row(test, "passed", Result("", backend, "", ()), Ending("skipped", "")).title == title


def test_tests_of_one_name_in_two_files_are_told_apart() -> None:
    ending = Ending("skipped", "no")
    tests = ("a.py::test_it", "b.py::test_it", "b.py::TestMore::test_it[x]")
    rows = [Row(test, "skipped", Result("", "ort", "", ()), ending) for test in tests]
    assert list(short_names(rows).values()) == ["a.py::test_it", "b.py::test_it", "TestMore::test_it[x]"]


def test_tests_without_a_verdict_are_told_of_by_backend_and_reason() -> None:
    rows = [
        Row("t.py::test_a[ort]", "failed", Result("Net", "ort", "", ()), Ending("refused", "no such operator")),
        Row("t.py::test_b[ort]", "failed", Result("Net", "ort", "", ()), Ending("refused", "no such operator")),
        Row("t.py::test_c[ort]", "passed", Result("Net", "ort", "", ()), Ending("not judged", "no mark")),
    ]
    lines = list(summary(rows, ()))
    assert [line.split() for line, _ in lines[2:4]] == [
        ["test_a", "Net", "ort", "refused"],
        ["test_b", "Net", "ort", "refused"],
    ]
    assert [colour for _, colour in lines] == ["", "", "red", "red"]
    assert closing(rows) == "2 refused, 1 not judged"
    assert closing([replace(row, outcome="xfailed") for row in rows[:2]]) == "2 xfail"
    skipped = [replace(row, outcome="skipped") for row in rows]
    assert list(summary(skipped, ()))[4:] == [("refused ort (2 tests): no such operator", "yellow")]


def test_the_column_of_another_environment_has_what_fresh_processes_take_too() -> None:
    names = {"candidate": "new", "reference": "old", "allowed": 1.05}
    facts = {f"{kind}.{name}": value for kind in ("environment", "resources") for name, value in names.items()}
    facts |= {"resources.verdict": "PASS", "resources.peak_memory_bytes": 2.2e8}
    facts |= {"resources.reference_peak_memory_bytes": 2e8, "resources.peak_memory_bytes_shown": "above"}
    facts |= {"environment.ratio": 1.1, "environment.ratio_low": 1.0, "environment.ratio_high": 1.2}
    facts |= {"environment.processes": 4, "environment.seconds": 2.5}
    headings, lines = table([row("ort", **facts)])
    assert lines[0][headings.index("vs environment")] == "1.10x [1.00, 1.20] as long, 1.10x peak memory"
