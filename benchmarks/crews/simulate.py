"""The rule's error rates where the truth is known: the race itself, between made-up processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.crews.cell import Cell
from benchmarks.crews.tally import LIMIT, Tally
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_race import race_crews

RATIOS = (1.0, 1.05, 1.1)


def simulate(cells: Sequence[Cell], races: int, say: Callable[[str], None]) -> Iterator[Tally]:
    """Yield a tally for each cell and true ratio."""
    for cell in cells:
        for ratio in RATIOS:
            tally = Tally(cell.name, ratio, [simulated_race(cell, ratio, seed) for seed in range(races)])
            say(" | ".join(tally.cells()))
            yield tally


def simulated_race(cell: Cell, ratio: float, seed: int) -> CrewRaceMeasurement:
    """Race two environments of a cell."""
    grow = cell.environments(ratio).grow(seed)
    return race_crews(grow, limit=LIMIT, config=CrewRaceConfig(seed=seed))
