"""What is wrong with a test: a mark that failed or stayed undecided, or an ending that fails the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.report.facts.result import KINDS
from pytest_cpuaccel.report.row import Row

MARKS: dict[Kind, str] = {
    "parity": "parity",
    "accuracy": "accuracy_budget",
    "latency": "latency_budget",
    "baseline": "latency_budget",
    "startup": "latency_budget",
    "memory": "memory_budget",
    "kernels": "kernels",
    "answers": "parity",
    "environment": "latency_budget",
    "resources": "memory_budget",
}
"""Kind of verdict -> the mark that asks for it, or for the same figure."""


@dataclass(frozen=True)
class Problem:
    """``label`` is of a few words, such as ``FAIL parity``. ``mark`` is None where the test ended without a verdict.

    ``fails`` tells whether the test failed by it; a warning otherwise.
    """

    row: Row
    label: str
    mark: str | None
    fails: bool
    sentence: str
    evidence: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    localization: Localization | None = None
    sensitivity: Sensitivity | None = None


def problems(rows: Iterable[Row]) -> list[Problem]:
    """Return what is wrong, the most important first: what fails a test, wrong answers before slow ones."""
    given = list(rows)
    explained = {row.test for row in given if row.is_bad}
    found = [problem for row in given for problem in _problems(row, explained)]
    return sorted(found, key=lambda problem: (not problem.fails, _rank(problem)))


def _problems(row: Row, explained: set[str]) -> Iterator[Problem]:
    if row.outcome == "xfailed":
        return
    if row.ending is not None:
        if row.is_bad:
            sentence, *more = row.ending.reason.splitlines() or [""]
            yield Problem(row, row.word, None, fails=True, sentence=sentence, evidence=tuple(more))
        return
    for verdict in row.verdicts(Outcome.FAIL):
        yield _of_verdict(row, verdict, row.is_bad)
    for verdict in row.verdicts(Outcome.INCONCLUSIVE):
        yield _of_verdict(row, verdict, row.outcome in ("failed", "error") and row.test not in explained)


def _of_verdict(row: Row, verdict: Verdict, fails: bool) -> Problem:
    return Problem(
        row,
        f"{verdict.outcome.value} {verdict.kind}",
        MARKS[verdict.kind],
        fails,
        verdict.sentence,
        verdict.evidence,
        (*(found.sentence for found in verdict.diagnoses), *verdict.notes),
        verdict.localization,
        verdict.sensitivity,
    )


def _rank(problem: Problem) -> int:
    kind = problem.label.rpartition(" ")[2]
    return next((place for place, known in enumerate(KINDS) if known == kind), len(KINDS))
