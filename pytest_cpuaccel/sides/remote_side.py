"""A remote side: a workload's calls, made and timed in another process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from pytest_cpuaccel.measure.latency.turn import Burst, Turn
from pytest_cpuaccel.sides.side_process import SideProcess


@dataclass
class RemoteSide:
    """A :class:`~pytest_cpuaccel.measure.latency.side.Side` by the clocks of another process.

    A call to settle is made together with the turn that follows it, so that nothing is waited for between the two.
    """

    process: SideProcess
    workload: int
    _settles: bool = field(default=False)

    def call_ns(self) -> float:
        """Make one call and return what it took."""
        return float(self.process.ask("call_ns", {"workload": self.workload}))

    def warm_up(self, cap_s: float) -> float:
        """Call until calls stop getting faster, or for ``cap_s`` seconds; return a typical call's ns."""
        return float(self.process.ask("warm_up", {"workload": self.workload, "cap_s": cap_s}))

    def settle(self, burst: Burst) -> None:  # noqa: ARG002
        """Have the next turn begin with untimed calls."""
        self._settles = True

    def take_turn(self, burst: Burst) -> Turn:
        """Time one burst."""
        order = {"workload": self.workload, "burst": asdict(burst), "settles": self._settles}
        self._settles = False
        found = self.process.ask("take_turn", order)
        return Turn(tuple(found["calls_ns"]), found["cpu_ns"], found["queued_ns"], found["switches"])

    def threads_used(self, told: int) -> int | None:
        """Return how many threads a warm call runs on at once; None where that can't be known."""
        found = self.process.ask("threads_used", {"workload": self.workload, "told": told})
        return None if found is None else int(found)
