"""How a row's verdict is signalled: a word, a sign before it, and the class that gives it its colour."""

from __future__ import annotations

from typing import Literal

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.row import EXPECTED_FAILURE, REFUSED_AND_SKIPPED, Row

Colour = Literal["pass", "fail", "unsure", "quiet"]
SIGNS: dict[Colour, str] = {"pass": "✓", "fail": "✗", "unsure": "?", "quiet": "·"}
OF_OUTCOME: dict[Outcome, Colour] = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.INCONCLUSIVE: "unsure"}

_ORDER = (
    *(outcome.value for outcome in Outcome),
    "refused",
    "failed",
    "error",
    EXPECTED_FAILURE,
    REFUSED_AND_SKIPPED,
    "skipped",
)


def colour_of(row: Row) -> Colour:
    """Return the colour: one of failure only where the test failed, so not for an xfail or a refusal that skips."""
    if row.outcome == "xfailed":
        return "quiet"
    if row.is_bad:
        return "fail"
    return "quiet" if row.ending else OF_OUTCOME[Outcome(row.word)]


def rank_of(word: str) -> int:
    """Return the place of a word in a list of counts."""
    return next((place for place, known in enumerate(_ORDER) if word == known), len(_ORDER))
