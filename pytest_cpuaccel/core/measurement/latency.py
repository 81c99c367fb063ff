"""How long calls took: a race of two sides, percentiles of one, and a race of two equal copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.limit import Quantity
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.measurement.strain import Strain


@dataclass(frozen=True)
class RaceMeasurement:
    """What a race of a candidate against a reference found.

    ``ratio`` is the median of candidate over reference. ``interval`` is made of the limits that the tests behind
    ``shown`` do not exclude. So all of it lies on the side of the limit that was shown, and it holds the true ratio
    with probability ``1 - alpha_below - 2 alpha_above`` at least, whenever the race stops. ``(0, inf)`` stands for
    ends that too few pairs could not give.
    ``shown`` is what was shown of the limit: None where there was none, or where it is not known; ``reason`` says why
    the race stopped. ``confirmed`` tells whether a fresh build repeated that the ratio is above the limit, None when
    there was nothing to repeat. Pairs and percentiles are those of both builds. ``pairs_ns`` are the wall ns per call
    of every pair, candidate first; empty where they were not kept. ``cpu_ratio`` is None with several threads.
    ``off_cpu_share`` is the share of time that calls waited of their own accord, ``queued_share`` that they were kept
    waiting for a processor.
    """

    ratio: float
    interval: tuple[float, float]
    pairs: int
    pairs_ns: tuple[tuple[float, float], ...]
    seconds: float
    p50_ns: float
    p90_ns: float
    reference_p50_ns: float
    reference_p90_ns: float
    cpu_ratio: float | None
    off_cpu_share: float
    queued_share: float
    context_switches: int
    strain: Strain
    confirmed: bool | None
    threads: int
    seed: int
    shown: Shown | None = None
    reason: str = ""

    @property
    def estimate(self) -> Estimate:
        """The ratio with its interval."""
        return Estimate(self.ratio, *self.interval)

    @property
    def speedup(self) -> float:
        """Reference over candidate."""
        return 1 / self.ratio

    @property
    def speedup_interval(self) -> tuple[float, float]:
        """The interval of reference over candidate."""
        low, high = self.interval
        return 1 / high, 1 / low if low else inf


@dataclass(frozen=True)
class LimitMeasurement:
    """What was found of one limit: at ``level`` (0.9: in 90 % of all calls) ``quantity`` was ``found_ns`` at most.

    With ``items``, the number of them that one call answers, the limit is of a throughput.
    ``held`` of ``blocks`` drawn calls kept the limit. ``more_blocks`` is how many more would have to keep it, or to
    break it, to show one or the other; it is given with OPEN unless more of the same would not settle it. Then
    ``best_ns``, found in the best moments of the run, kept the limit, or ``probe_slowdown``, a probe's time over its
    best of the session, shows that other work had the machine. A block takes ``block_s`` seconds.
    """

    quantity: Quantity
    level: float
    found_ns: float
    held: int
    blocks: int
    more_blocks: int | None = None
    items: int | None = None
    shown: Shown | None = None
    best_ns: float | None = None
    probe_slowdown: float | None = None
    block_s: float | None = None

    @property
    def items_per_s(self) -> float | None:
        """The throughput; None where there are no items."""
        return None if self.items is None else self.items * 1e9 / self.found_ns


@dataclass(frozen=True)
class PercentileMeasurement:
    """What all timed calls took, and what was found of each limit, by name ("p50").

    ``probe_slowdown`` is the probe's median time over its best of the session.
    """

    limits: Mapping[str, LimitMeasurement]
    p50_ns: float
    p90_ns: float
    p99_ns: float
    calls: int
    seconds: float
    probe_slowdown: float
    context_switches: int
    strain: Strain


@dataclass(frozen=True)
class SelfCheck:
    """What a race of two equal copies found: an A/A check.

    ``interval`` holds the median ratio with probability ``1 - 2 alpha_above``, whenever the race stops; it is
    ``(0, inf)`` where it is not known. ``slowdown`` is the smallest that could be told in these seconds, a fraction;
    infinite after too few pairs. One call takes ``call_ns``, 0 where that is not known.
    """

    ratio: float
    interval: tuple[float, float]
    slowdown: float
    pairs: int
    seconds: float
    call_ns: float = 0.0

    def shown(self, allowed: float) -> Shown:
        """Return ABOVE where equal copies were shown to differ by more than a fraction, BELOW by less."""
        low, high = self.interval
        if low > 1 + allowed or high < 1 / (1 + allowed):
            return Shown.ABOVE
        return Shown.BELOW if self.slowdown <= allowed else Shown.OPEN


@dataclass(frozen=True)
class TooSlow:
    """Calls too slow for a measurement: nothing can be shown of ``what`` in the time that it may take.

    ``what`` is "a ratio", or the name of a limit. One call took ``call_ns``, one of the other side ``reference_ns``, 0
    where that was not called. It takes ``count`` "pairs of calls" or "calls", ``least_ns`` in all, and ``allowed_ns``
    are allowed.
    """

    what: str
    call_ns: float
    reference_ns: float
    count: str
    least_ns: float
    allowed_ns: float


@dataclass(frozen=True)
class LatencyMeasurement:
    """How long a workload's call took, and against ``vs``.

    ``race`` is None where calls are too slow for a pair of them, or where only limits were asked and the ratio not
    even estimated; ``percentiles`` where no limit was asked. ``race_too_slow`` and ``limits_too_slow`` say why
    something that was asked has not been begun. ``threads_used`` and ``reference_threads_used`` are what each side ran
    on, None where the kernel does not tell. ``without_kv_cache`` says why a build's ``generate()`` runs the whole text
    at every step; None where it does not, or there is none. ``self_check`` was made after a limit was broken, or
    ``no_self_check`` says why not.
    A baseline that is being saved needs ``inputs``, the signature of the call's inputs, and the name of ``artifact``.
    """

    vs: str
    race: RaceMeasurement | None = None
    percentiles: PercentileMeasurement | None = None
    race_too_slow: TooSlow | None = None
    limits_too_slow: TooSlow | None = None
    threads_used: int | None = None
    reference_threads_used: int | None = None
    without_kv_cache: str | None = None
    self_check: SelfCheck | None = None
    no_self_check: str = ""
    inputs: str | None = None
    artifact: str | None = None

    @property
    def p50_ns(self) -> float | None:
        """The median time of a call; of the percentiles' calls where there are some."""
        found = self.percentiles or self.race
        return None if found is None else found.p50_ns

    @property
    def ratio(self) -> float | None:
        """Candidate over reference."""
        return None if self.race is None else self.race.ratio
