"""A card: a problem, with the tests that have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.html.signal import SIGNS, Colour
from pytest_cpuaccel.report.problem import Problem
from pytest_cpuaccel.report.row import Row


@dataclass(frozen=True)
class Card:
    """``anchor`` is its id in the page. ``label`` is of a few words, such as ``FAIL parity``."""

    anchor: str
    colour: Colour
    label: str
    rows: tuple[Row, ...]
    sentence: str
    evidence: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    localization: Localization | None = None
    sensitivity: Sensitivity | None = None

    @property
    def sign(self) -> str:
        """Return the sign that stands before the label."""
        return SIGNS[self.colour]

    @property
    def tests(self) -> tuple[str, ...]:
        """Return the ids of the tests, each once."""
        return tuple(dict.fromkeys(row.test for row in self.rows))

    @property
    def backends(self) -> tuple[str, ...]:
        """Return the backends, each once."""
        return tuple(dict.fromkeys(row.result.backend for row in self.rows if row.result.backend))

    @property
    def model(self) -> str:
        """Return the model; it is the same for all rows."""
        return self.rows[0].result.model


def cards_of(problems: Iterable[Problem], prefix: str, colour: Colour) -> list[Card]:
    """Return a card for each problem; tests with the same one, such as an export that fails, share it."""
    alike: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        key = (problem.row.result.model, problem.label, _sentence(problem), problem.evidence, problem.hints)
        alike.setdefault(key, []).append(problem)
    return [
        Card(
            anchor=f"{prefix}-{number}",
            colour=colour,
            label=found[0].label,
            rows=tuple(problem.row for problem in found),
            sentence=_sentence(found[0]),
            evidence=found[0].evidence,
            hints=found[0].hints,
            localization=found[0].localization,
            sensitivity=found[0].sensitivity,
        )
        for number, found in enumerate(alike.values(), 1)
    ]


def _sentence(problem: Problem) -> str:
    """The sentence without the backend in front, which the card names."""
    return problem.sentence.removeprefix(f"{problem.row.result.backend}: ")


def unexplained(rows: Iterable[Row], problems: Iterable[Problem]) -> list[Problem]:
    """Return a problem for each test that failed though none of its rows says why."""
    told = {problem.row.test for problem in problems if problem.fails}
    failed = {row.test: row for row in rows if row.outcome in ("failed", "error") and row.test not in told}
    sentence = "the test failed, and not by a verdict; pytest's output says why"
    return [Problem(row, "failed", None, fails=True, sentence=sentence) for row in failed.values()]


def expected_failures(rows: Iterable[Row]) -> list[Problem]:
    """Return what is wrong with tests that were expected to fail."""
    found = []
    for row in rows:
        if row.outcome != "xfailed":
            continue
        if row.ending is not None:
            found.append(Problem(row, row.word, None, fails=False, sentence=row.ending.reason))
        for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
            for verdict in row.verdicts(outcome):
                label = f"{outcome.value} {verdict.kind}"
                found.append(Problem(row, label, None, fails=False, sentence=verdict.sentence))
    return found
