"""Backends that refused every test that they ran."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.closing import closing
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.markdown_file import markdown
from pytest_cpuaccel.report.reasons import reasons
from pytest_cpuaccel.report.refusals import refusing_all
from pytest_cpuaccel.report.row import Row
from tests.unit.rows import report_of


def refused(test: str, backend: str = "ort", outcome: str = "skipped") -> Row:
    return Row(test, outcome, Result("Net", backend, "", ()), Ending("refused", f"{backend}: no kernel"))


def skipped(test: str, backend: str = "ort") -> Row:
    return Row(test, "skipped", Result("Net", backend, "", ()), Ending("skipped", "too slow"))


def without_call(test: str) -> Row:
    return Row(test, "passed", Result("Net", "ort", "", ()), Ending("not judged", "no mark of the test asks for it"))


CALLED = "test that called a model: no kernel"


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ([refused("a")], [f"ort refused the only {CALLED}"]),
        ([refused("a"), refused("b")], ["ort refused all 2 tests that called a model: no kernel"]),
        ([refused("a"), skipped("b")], [f"ort refused the only {CALLED}"]),
        ([refused("a"), without_call("b")], [f"ort refused the only {CALLED}"]),
        ([refused("a"), refused("b", "eager")], [f"ort refused the only {CALLED}"]),
        ([refused("a", outcome="xfailed")], []),
        ([skipped("a")], []),
        ([refused("a", "sdpa")], []),
        ([], []),
    ],
)
def test_a_backend_is_told_of_if_all_that_it_ran_was_refused(rows: list[Row], sentences: list[str]) -> None:
    assert list(refusing_all(rows, ["eager"], ["ort"])) == sentences


def test_a_backend_that_ran_a_test_may_refuse_others() -> None:
    assert not list(refusing_all([refused("a"), without_call("b")], ["ort"], ["ort"]))


def test_a_reason_of_several_lines_is_told_as_one_line() -> None:
    row = Row(
        "a", "skipped", Result("Net", "ort", "", ()), Ending("refused", f"ort: no kernel\nfor gelu\n{'z ' * 900}")
    )
    (sentence,) = refusing_all([row], [], ["ort"])
    (line,) = reasons([row])
    assert "no kernel for gelu z z" in sentence
    assert "no kernel for gelu z z" in line
    assert len(line) < 450
    assert line.endswith("z ...")


def test_the_failure_of_a_run_in_which_no_test_failed_stands_in_its_report() -> None:
    text = markdown(replace(report_of([refused("a")]), failures=["ort refused <all>"]))
    assert text.startswith("## CPU backends: the run failed\n\n**The run fails:** ort refused &lt;all")


def test_refusals_that_skip_are_counted_apart() -> None:
    assert closing([refused("a"), refused("b", outcome="failed")]) == "1 refused, 1 refused and skipped"
