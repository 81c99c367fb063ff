"""A speed-up over eager, measured interleaved and in isolation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speedup:
    """Latency of eager over that of the backend: of one race, and of two processes of their own."""

    model: str
    backend: str
    measurement: int
    interleaved: float
    isolated: float
