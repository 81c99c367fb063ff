"""A probe: a fixed piece of one-threaded work that tells whether the machine is itself now."""

from __future__ import annotations

import numpy as np

from pytest_cpuaccel.measure.latency.turn import time_call

TOLERANCE = 0.10
"""A probe this much slower than the fastest of the session means that something else has the machine."""

_IN_CACHE = np.linspace(0.1, 1.0, 16_384, dtype=np.float32)
_OUT = np.empty_like(_IN_CACHE)
_ROUNDS = 64


class Probe:
    """Times the work and remembers the fastest time of the session."""

    def __init__(self) -> None:
        self.best_ns = float("inf")

    def time_ns(self) -> float:
        """Do the work once, about 0.5 ms, and return its ns."""
        ns = time_call(_work)
        self.best_ns = min(self.best_ns, ns)
        return ns


SESSION_PROBE = Probe()


def _work() -> None:
    """Arithmetic in the first-level cache; NumPy's element-wise loops never start threads."""
    for _ in range(_ROUNDS):
        np.exp(_IN_CACHE, out=_OUT)
