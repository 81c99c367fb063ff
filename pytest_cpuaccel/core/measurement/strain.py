"""Strain: how much other work wanted the processors while something was measured."""

from __future__ import annotations

from dataclasses import dataclass

MUCH_STEAL = 0.02
"""A greater share of the CPU time given to other machines makes timings unsteady."""


@dataclass(frozen=True)
class Strain:
    """None stands for what the kernel keeps no account of, or was not kept.

    ``load`` is the load average of the last minute, ``cpu_waiting`` the share of the last 10 s in which a task waited
    for a processor. The control group was ``throttled`` that often in between. ``steal`` is the share of the wanted CPU
    time that a hypervisor gave to others in between. The machine has ``cpus``.
    """

    load_before: float | None = None
    load_after: float | None = None
    cpu_waiting_before: float | None = None
    cpu_waiting_after: float | None = None
    throttled: int | None = None
    steal: float | None = None
    cpus: int | None = None

    @property
    def crowded(self) -> bool:
        """Tell whether more work wanted to run than there are CPUs."""
        return self.load_after is not None and self.cpus is not None and self.load_after > self.cpus
