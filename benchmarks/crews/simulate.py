"""The rule's error rates where the truth is known: the race itself, between made-up processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.crews.cell import CELLS
from benchmarks.crews.tally import LIMIT, Tally
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_race import race_crews

RATIOS = (1.0, 1.05, 1.1)
_CHUNK = 50


@dataclass(frozen=True)
class Plan:
    """``races`` of each of the named cells and each true ratio, by so many ``jobs`` at once; of all cells for none."""

    races: int
    cells: Sequence[str] = ()
    jobs: int = 1

    def has(self, name: str) -> bool:
        """Tell whether a cell is asked for."""
        return not self.cells or name in self.cells


def simulate(plan: Plan, say: Callable[[str], None]) -> Iterator[Tally]:
    """Yield a tally for each cell and true ratio."""
    with ProcessPoolExecutor(plan.jobs) as pool:
        for place, cell in ((place, cell) for place, cell in enumerate(CELLS) if plan.has(cell.name)):
            for ratio in RATIOS:
                found = pool.map(partial(simulated_race, place, ratio), range(plan.races), chunksize=_CHUNK)
                tally = Tally(cell.name, ratio, list(found))
                say(" | ".join(tally.cells()))
                yield tally


def simulated_race(place: int, ratio: float, seed: int) -> CrewRaceMeasurement:
    """Race two environments of the cell in this place."""
    grow = CELLS[place].environments(ratio).grow(seed)
    return race_crews(grow, limit=LIMIT, config=CrewRaceConfig(seed=seed))
