"""The line that closes a run: how many verdicts there were of each kind, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.effort import Effort
from pytest_cpuaccel.report.ending import NOT_JUDGED
from pytest_cpuaccel.report.row import EXPECTED_FAILURE, REFUSED_AND_SKIPPED, Row

_WORDS = (
    Outcome.PASS.value,
    Outcome.FAIL.value,
    Outcome.INCONCLUSIVE.value,
    "refused",
    REFUSED_AND_SKIPPED,
    "failed",
    "error",
    EXPECTED_FAILURE,
    "skipped",
    NOT_JUDGED,
)
_NO_EFFORT = Effort()


def undecided_count(rows: Sequence[Row]) -> int:
    """Return the number of results that are INCONCLUSIVE, of tests that did not fail."""
    return sum(row.word == Outcome.INCONCLUSIVE.value and row.outcome != "failed" for row in rows)


def closing(rows: Sequence[Row], effort: Effort = _NO_EFFORT) -> str:
    """Return the counts of rows by verdict, then the effort: ``30 PASS, 3 FAIL; waited 5 s for other sessions``.

    Tests that were skipped because their backend refused the model are counted apart, and so are those that were
    expected to fail and did.
    """
    counts = Counter(row.counted_as for row in rows)
    verdicts = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word])
    return "; ".join(filter(None, (verdicts, *effort.words())))
