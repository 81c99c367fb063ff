"""A speed-up over eager, measured interleaved and in isolation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speedup:
    """Latency of eager over that of the backend: of one race, and of two processes that take turns, 50 ms each.

    From one minute to the next a call's latency may drift by a tenth, so both are measured within seconds.
    """

    model: str
    backend: str
    measurement: int
    interleaved: float
    isolated: float
