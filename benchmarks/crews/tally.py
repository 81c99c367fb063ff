"""A tally: what races of one kind came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.gates.tally import Proportion
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown

LIMIT = 1.05
HEADINGS = (
    "processes and machine",
    "true ratio",
    "FAIL",
    "PASS",
    "INCONCLUSIVE",
    "interval holds it",
    "half its width",
    "processes a side",
    "median s",
)


@dataclass(frozen=True)
class Tally:
    """Races of environments whose true ratio is known."""

    name: str
    truth: float
    races: Sequence[CrewRaceMeasurement]

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table; brackets hold exact 95 % intervals, in per cent. Made-up races take no time."""
        holding = sum(race.interval[0] <= self.truth <= race.interval[1] for race in self.races)
        widths = [(race.interval[1] - race.interval[0]) / 2 for race in self.races]
        seconds = sorted(race.seconds for race in self.races)
        return (
            self.name,
            f"{self.truth:.3f}",
            *(str(self._share(shown)) for shown in (Shown.ABOVE, Shown.BELOW, Shown.OPEN)),
            str(Proportion(holding, len(self.races))),
            f"{100 * median(widths):.1f} %",
            ", ".join(f"{size}: {count}" for size, count in self._sizes().items()),
            f"{median(seconds):.2g}",
        )

    def _share(self, shown: Shown) -> Proportion:
        return Proportion(sum(race.shown is shown for race in self.races), len(self.races))

    def _sizes(self) -> Mapping[int, int]:
        sizes = sorted(race.processes for race in self.races)
        return {size: sizes.count(size) for size in dict.fromkeys(sizes)}


def table(tallies: Sequence[Tally]) -> str:
    """Return the tallies as a Markdown table."""
    rows = (HEADINGS, ("---",) * len(HEADINGS), *(tally.cells() for tally in tallies))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
