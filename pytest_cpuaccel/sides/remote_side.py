"""A remote side: a workload's calls, made and timed in another process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from pytest_cpuaccel.exchange.fields import Fields
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
        return self.process.ask("call_ns", {"workload": self.workload}, _time_ns)

    def warm_up(self, cap_s: float) -> float:
        """Call until calls stop getting faster, or for ``cap_s`` seconds; return a typical call's ns."""
        return self.process.ask("warm_up", {"workload": self.workload, "cap_s": cap_s}, _time_ns)

    def settle(self, burst: Burst) -> None:  # noqa: ARG002
        """Have the next turn begin with untimed calls."""
        self._settles = True

    def take_turn(self, burst: Burst) -> Turn:
        """Time one burst."""
        order = {"workload": self.workload, "burst": asdict(burst), "settles": self._settles}
        self._settles = False
        return self.process.ask("take_turn", order, _turn)

    def threads_used(self, told: int) -> int | None:
        """Return how many threads a warm call runs on at once; None where that can't be known."""
        return self.process.ask("threads_used", {"workload": self.workload, "told": told}, _count)


def _time_ns(found: Fields) -> float:
    return found.figure("answer")


def _count(found: Fields) -> int | None:
    return None if found.get("answer") is None else found.count("answer")


def _turn(found: Fields) -> Turn:
    turn = found.object("answer")
    calls_ns, switches = turn.figures("calls_ns"), turn.count("switches")
    return Turn(calls_ns, turn.figure("cpu_ns"), turn.figure("queued_ns"), switches)
