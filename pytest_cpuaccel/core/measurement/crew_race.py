"""What a race of two environments found."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.shown import Shown


@dataclass(frozen=True)
class CrewRaceMeasurement:
    """A call's latency in one environment over that in another, by several processes a side.

    ``ratio`` is candidate over reference: the mean of processes, each with its median log ratio to whomever it met. It
    and the medians are None where no time could be read, or calls are too slow for the time allowed.
    ``interval`` is made of the limits that the rule does not exclude. Under the rule's model, in which processes differ
    by normal effects, it holds the true ratio with probability ``1 - alpha_above - alpha_below``; it is not
    distribution-free. ``(0, inf)`` stands for ends that are not known.
    ``candidate_levels`` and ``reference_levels`` are logarithms, one for each process that was timed, of its own time
    over the other side's. There were ``processes`` a side. In a sweep each of those alive meets one of the other side;
    ``sweeps`` counts those of all looks, of which the last may be cut short. ``seconds`` are those of warm-ups and
    timed calls, without starts of processes.
    ``cpu_ratio`` is that of CPU times; None with several threads, or where the kernel does not tell. ``queued_share``
    is the share of time that calls were kept waiting for a processor.
    ``shown`` is what was shown of the limit, None where there was none; ``reason`` says why the race stopped.
    """

    ratio: float | None
    interval: tuple[float, float]
    candidate_levels: tuple[float, ...]
    reference_levels: tuple[float, ...]
    processes: int
    sweeps: int
    seconds: float
    p50_ns: float | None
    reference_p50_ns: float | None
    cpu_ratio: float | None
    queued_share: float
    threads: int
    seed: int
    shown: Shown | None = None
    reason: str = ""

    @property
    def estimate(self) -> Estimate | None:
        """The ratio with its interval."""
        return None if self.ratio is None else Estimate(self.ratio, *self.interval)

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the greatest candidate over reference that one process by itself tells."""
        ratios = [exp(level) for level in self.candidate_levels] + [exp(-level) for level in self.reference_levels]
        return (min(ratios), max(ratios)) if ratios else None
