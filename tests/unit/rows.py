"""Rows of a report, as tests could have left them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.report.ending import Ending, EndingKind
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run

RUN = Run(
    "5b4c1e0a-0000-4000-8000-000000000000",
    "2026-01-02T03:04:05+00:00",
    "pytest --cpu-backends=ort",
    "0" * 40,
    seconds=4.0,
)
ENVIRONMENT = {
    "cpu": "A CPU @ 2 GHz",
    "isa": ["avx2"],
    "cpus": 2,
    "threads": 1,
    "load": "0.5 on 2 CPUs",
    "system": "Linux",
    "python": "3.11.7",
    "versions": ["torch 2.13.0+cpu"],
}
HINT = Diagnosis("hint", "the exporter kept one branch", "logits", "", {"max_abs": 0.5})


def judged(
    test: str, *found: tuple[Kind, Outcome], sentence: str = "ort: forward 2x16: 4 ms, allowed 3 ms", ended: str = ""
) -> Row:
    """Return the row of a test with verdicts."""
    verdicts = tuple(
        Verdict(kind, outcome, sentence, ("worst at [0, 0]",), (HINT,), ("a note",)) for kind, outcome in found
    )
    failed = any(outcome is Outcome.FAIL for _, outcome in found)
    return Row(test, ended or ("failed" if failed else "passed"), Result("Mlp", "ort", "forward 2x16", verdicts))


def ended(test: str, kind: EndingKind, reason: str, outcome: str) -> Row:
    """Return the row of a test without verdicts."""
    return Row(test, outcome, Result("Mlp", "ort", "", ()), Ending(kind, reason))


def report_of(rows: Sequence[Row]) -> Report:
    """Return a report of rows."""
    return Report(RUN, ENVIRONMENT, rows)
