"""A crew: the processes of one environment, all alive at once, which race as one side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cpuaccel.measure.latency.side import Side


@dataclass(frozen=True)
class Crew:
    """One side for each process of an environment."""

    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Crews:
    """Both crews of a race, of equal size."""

    candidate: Crew
    reference: Crew

    @property
    def size(self) -> int:
        """The processes a side."""
        return len(self.candidate.sides)

    def joined_after(self, size: int) -> Iterator[Side]:
        """Yield the sides that crews of this size did not have yet, in turn from each crew."""
        for pair in zip(self.candidate.sides[size:], self.reference.sides[size:], strict=True):
            yield from pair
