"""One line of every report: a workload of a test with what was found about it, or a test that was not judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.report.ending import NOT_JUDGED, Ending
from pytest_cpuaccel.report.facts.result import KINDS, facts_of

EXPECTED_FAILURE = "xfail"
REFUSED_AND_SKIPPED = "refused and skipped"

_M = TypeVar("_M")


@dataclass(frozen=True)
class Row:
    """``test`` is a node id, ``outcome`` pytest's word for the test. ``ending`` stands where there is no verdict."""

    test: str
    outcome: str
    result: Result
    ending: Ending | None = None

    @cached_property
    def facts(self) -> Mapping[str, Scalar]:
        """The result as flat facts."""
        return dict(facts_of(self.result))

    @property
    def title(self) -> str:
        """Return the test without its backend: the same for all backends that it ran under."""
        return without_backend(self.test, self.result.backend)

    @property
    def word(self) -> str:
        """Return the worst outcome in one word: PASS, FAIL, INCONCLUSIVE, or the kind of the ending."""
        return self.ending.kind if self.ending else Outcome.worst(v.outcome for v in self.result.verdicts).value

    @property
    def counted_as(self) -> str:
        """Return the word by which rows are counted: an expected failure and a refusal that skips are no failures."""
        if self.outcome == "xfailed":
            return EXPECTED_FAILURE
        return REFUSED_AND_SKIPPED if self.word == "refused" and self.outcome == "skipped" else self.word

    @property
    def verdict(self) -> str:
        """Return the word, with the kinds of verdict it is of unless it is PASS."""
        kinds = () if self.ending else tuple(verdict.kind for verdict in self._verdicts(Outcome(self.word)))
        named = f" {', '.join(kinds)}" if kinds and self.word != Outcome.PASS.value else ""
        return f"{self.word}{named}{' (xfail)' if self.outcome == 'xfailed' else ''}"

    @property
    def is_bad(self) -> bool:
        """Tell whether the row is of a test that failed, and says why."""
        failing = self.word in (Outcome.FAIL.value, "refused", "failed", "error")
        return failing and self.outcome not in ("xfailed", "skipped")

    @property
    def is_judged(self) -> bool:
        """Tell whether there is more to show than that the test passed without a mark."""
        return self.ending is None or self.ending.kind != NOT_JUDGED

    def measured(self, kind: type[_M]) -> _M | None:
        """Return the measurement of this type behind one of the verdicts; None where there is none."""
        found = (verdict.measurement for verdict in self.result.verdicts)
        return next((measurement for measurement in found if isinstance(measurement, kind)), None)

    def verdicts(self, outcome: Outcome) -> Iterator[Verdict]:
        """Yield the verdicts with this outcome."""
        yield from self._verdicts(outcome)

    def _verdicts(self, outcome: Outcome) -> list[Verdict]:
        """Those with this outcome, in the order in which reports name kinds."""
        found = (verdict for verdict in self.result.verdicts if verdict.outcome is outcome)
        return sorted(found, key=lambda verdict: KINDS.index(verdict.kind))


def without_backend(test: str, backend: str) -> str:
    """Return a node id without the backend among its parameters: ``t.py::test_it[ort-3]`` is ``t.py::test_it[3]``."""
    path, bracket, parameters = test.partition("[")
    if not backend or not bracket:
        return test
    name = re.compile(rf"(?:^|-){re.escape(backend)}(?=-|$)")
    left = name.sub("", parameters.removesuffix("]"), count=1).removeprefix("-")
    return f"{path}[{left}]" if left else path
