"""The findings on one test, in the form in which they travel with pytest's report from a worker to its controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need, need_of
from pytest_cpuaccel.report.ending import NOT_JUDGED, Ending
from pytest_cpuaccel.report.facts.result import facts_of, result_of
from pytest_cpuaccel.report.facts.scalars import Facts
from pytest_cpuaccel.report.row import Row


@dataclass
class Findings:
    """``backend`` and ``model`` are of a test without results, "" where it is not known; ``notes`` are for the user.
    ``needs`` are what its outputs would need of a tolerance lock.

    ``endings`` say what else ended the test than a verdict: its body, and its teardown too, where both failed.
    """

    backend: str = ""
    model: str = ""
    results: list[Facts] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    needs: dict[LockKey, Need] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Add a result."""
        self.results.append(dict(facts_of(result)))

    def rows(self, test: str, outcome: str) -> Iterator[Row]:
        """Yield a row for each result, then one for each ending; a test that has neither was not judged."""
        for facts in self.results:
            yield Row(test, outcome, result_of(facts))
        not_judged = [] if self.results else [Ending(NOT_JUDGED, "no mark of the test asks for a verdict")]
        for ending in self.endings or not_judged:
            yield Row(test, outcome, Result(self.model, self.backend, "", ()), ending)

    def as_plain(self) -> dict[str, Any]:
        """Return them as dicts, lists, texts and numbers."""
        return {
            "backend": self.backend,
            "model": self.model,
            "results": [dict(facts) for facts in self.results],
            "endings": [[ending.kind, ending.reason] for ending in self.endings],
            "notes": list(self.notes),
            "needs": [[*key, need.as_plain()] for key, need in self.needs.items()],
        }


def findings_of(plain: Mapping[str, Any]) -> Findings:
    """Return the findings that :meth:`Findings.as_plain` wrote."""
    endings = [Ending(*ending) for ending in plain["endings"]]
    needs = {LockKey(*key): need_of(need) for *key, need in plain["needs"]}
    return Findings(plain["backend"], plain["model"], plain["results"], endings, plain["notes"], needs)
