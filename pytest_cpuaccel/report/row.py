"""One line of every report: a workload of a test, with what was found about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.report.facts.result import KINDS, facts_of, result_of

PREFIX = "cpuaccel"

_PROPERTY = re.compile(rf"{PREFIX}\.(?P<number>\d+)\.(?P<name>.+)")
_M = TypeVar("_M")


@dataclass(frozen=True)
class Row:
    """``test`` is a node id, ``outcome`` pytest's word for the test."""

    test: str
    outcome: str
    result: Result

    @cached_property
    def facts(self) -> Mapping[str, Scalar]:
        """The result as flat facts."""
        return dict(facts_of(self.result))

    def measured(self, kind: type[_M]) -> _M | None:
        """Return the measurement of this type behind one of the verdicts; None where there is none."""
        found = (verdict.measurement for verdict in self.result.verdicts)
        return next((measurement for measurement in found if isinstance(measurement, kind)), None)

    @property
    def verdict(self) -> str:
        """Return the worst verdict, with its kind unless it is PASS."""
        for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
            kinds = [verdict.kind for verdict in self._verdicts(outcome)]
            if kinds:
                return f"{outcome.value} {', '.join(kinds)}"
        return Outcome.PASS.value

    def sentences(self, outcome: Outcome) -> list[str]:
        """Return the sentences of the verdicts with this outcome."""
        return [verdict.sentence for verdict in self._verdicts(outcome)]

    def agrees_with(self, other: Row) -> bool:
        """Tell whether nothing that both rows hold differs, so that one line can show them."""
        return self.outcome == other.outcome and all(
            self.facts[name] == other.facts[name] for name in self.facts.keys() & other.facts.keys()
        )

    def joined_with(self, other: Row) -> Row:
        """Return one row with the facts of both."""
        return Row(self.test, self.outcome, result_of({**self.facts, **other.facts}))

    def _verdicts(self, outcome: Outcome) -> list[Verdict]:
        """Those with this outcome, in the order in which reports name kinds."""
        found = (verdict for verdict in self.result.verdicts if verdict.outcome is outcome)
        return sorted(found, key=lambda verdict: KINDS.index(verdict.kind))


def properties_of(number: int, result: Result) -> Iterator[tuple[str, Scalar]]:
    """Yield a result as pytest user properties: they reach JUnit and xdist's controller by themselves."""
    return ((f"{PREFIX}.{number}.{name}", value) for name, value in facts_of(result))


def is_of_result(key: str) -> bool:
    """Tell whether a user property of this name is a fact of a result."""
    return _PROPERTY.fullmatch(key) is not None


def note_property(text: str) -> tuple[str, str]:
    """Return a note for the user as a pytest user property."""
    return f"{PREFIX}.note", text


def notes_of(properties: Iterable[tuple[str, object]]) -> list[str]:
    """Return the notes that a test's user properties hold."""
    return [str(value) for key, value in properties if key == f"{PREFIX}.note"]


def rows_of(test: str, outcome: str, properties: Iterable[tuple[str, object]]) -> list[Row]:
    """Return the rows that a test's user properties hold."""
    facts: dict[str, dict[str, Scalar]] = {}
    for key, value in properties:
        match = _PROPERTY.fullmatch(key)
        if match and isinstance(value, (str, int, float, bool)):
            facts.setdefault(match["number"], {})[match["name"]] = value
    return [Row(test, outcome, result_of(found)) for found in facts.values()]
