"""How many rows there are of each verdict, in all and under each backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.report.html.signal import SIGNS, Colour, colour_of, rank_of
from pytest_cpuaccel.report.row import Row


@dataclass(frozen=True)
class Total:
    """A word of the verdict column with its sign and its count."""

    word: str
    colour: Colour
    count: int

    @property
    def sign(self) -> str:
        """Return the sign that stands before the word."""
        return SIGNS[self.colour]


@dataclass(frozen=True)
class BackendTotals:
    """The counts of one backend, in the order of the totals of the run."""

    backend: str
    counts: tuple[int, ...]


def totals_of(rows: Iterable[Row]) -> list[Total]:
    """Return the totals, the most important word first."""
    counts = Counter((row.counted_as, colour_of(row)) for row in rows)
    found = (Total(word, colour, count) for (word, colour), count in counts.items())
    return sorted(found, key=lambda total: rank_of(total.word))


def by_backend(rows: Sequence[Row], totals: Sequence[Total]) -> list[BackendTotals]:
    """Return the totals of each backend; none where there is only one."""
    backends = list(dict.fromkeys(row.result.backend for row in rows))
    if len(backends) < 2:
        return []
    counts = Counter((row.result.backend, row.counted_as, colour_of(row)) for row in rows)
    return [
        BackendTotals(backend or "no backend", tuple(counts[backend, each.word, each.colour] for each in totals))
        for backend in backends
    ]
