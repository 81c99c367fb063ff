"""What a run cost beside its measurements: waits for other processes, and exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_cpuaccel.core.units import format_elapsed


@dataclass(frozen=True)
class Effort:
    """Seconds that processes of a run waited for other sessions, and for each other; and how many exports they made."""

    waited_for_sessions_s: float = 0.0
    waited_for_workers_s: float = 0.0
    exports: int = 0

    @classmethod
    def total(cls, efforts: Iterable[Effort]) -> Effort:
        """Return the sums over all processes of a run."""
        given = list(efforts)
        return cls(
            sum(effort.waited_for_sessions_s for effort in given),
            sum(effort.waited_for_workers_s for effort in given),
            sum(effort.exports for effort in given),
        )

    def words(self) -> Iterator[str]:
        """Yield ``waited 6 min 10 s for other sessions`` and ``4 exports``; nothing of what there was none of."""
        waits = ((self.waited_for_sessions_s, "other sessions"), (self.waited_for_workers_s, "workers of this run"))
        told = [f"{format_elapsed(seconds)} for {whom}" for seconds, whom in waits if round(seconds)]
        if told:
            yield f"waited {', '.join(told)}"
        if self.exports:
            yield f"{self.exports} export{'s' * (self.exports > 1)}"
