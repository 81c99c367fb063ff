"""Backends that refused every test that they ran."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.closing import closing
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.refusals import refusing_all
from pytest_cpuaccel.report.row import Row


def refused(test: str, backend: str = "ort", outcome: str = "skipped") -> Row:
    return Row(test, outcome, Result("Net", backend, "", ()), Ending("refused", f"{backend}: no kernel"))


def skipped(test: str, backend: str = "ort") -> Row:
    return Row(test, "skipped", Result("Net", backend, "", ()), Ending("skipped", "too slow"))


def passed(test: str, backend: str = "ort") -> Row:
    return Row(test, "passed", Result("Net", backend, "forward", ()))


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ([refused("a")], ["ort refused its only test: no kernel"]),
        ([refused("a"), refused("b")], ["ort refused all its 2 tests: no kernel"]),
        ([refused("a"), skipped("b")], ["ort refused its only test: no kernel"]),
        ([refused("a"), passed("b", "eager")], ["ort refused its only test: no kernel"]),
        ([refused("a"), passed("b")], []),
        ([refused("a", outcome="xfailed")], []),
        ([skipped("a")], []),
        ([refused("a", "sdpa")], []),
        ([], []),
    ],
)
def test_a_backend_is_told_of_if_all_that_it_ran_was_refused(rows: list[Row], sentences: list[str]) -> None:
    assert list(refusing_all(rows, ["ort"])) == sentences


def test_refusals_that_skip_are_counted_apart() -> None:
    assert closing([refused("a"), refused("b", outcome="failed")]) == "1 refused, 1 refused and skipped"
