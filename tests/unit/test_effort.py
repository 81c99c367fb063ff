"""What a run cost, in its closing line."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.report.closing import closing
from pytest_cpuaccel.report.effort import Effort
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.row import Row

ROWS = [Row("t.py::test_a[ort]", "failed", Result("Net", "ort", "", ()), Ending("refused", "no such operator"))]


@pytest.mark.parametrize(
    ("effort", "words"),
    [
        (Effort(), ""),
        (Effort(0.4, 0.4, 0), ""),
        (Effort(370.2, 0, 4), "; waited 6 min 10 s for other sessions; 4 exports"),
        (Effort(exports=1), "; 1 export"),
        (Effort(0, 3661), "; waited 1 h 1 min 1 s for workers of this run"),
        (Effort(60, 5), "; waited 1 min for other sessions, 5 s for workers of this run"),
    ],
)
def test_the_closing_line_says_what_there_was(effort: Effort, words: str) -> None:
    assert closing(ROWS, effort) == f"1 refused{words}"


def test_efforts_of_processes_are_added() -> None:
    assert Effort.total([Effort(1, 2, 3), Effort(10, 20, 30)]) == Effort(11, 22, 33)
    assert Effort.total([]) == Effort()
