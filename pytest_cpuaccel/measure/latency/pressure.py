"""Pressure: how much other work wants the processors."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pressure:
    """Load average of the last minute, and the share of the last 10 s in which a task waited for a processor.

    ``cpu_waiting`` is Linux's PSI "some avg10" as a fraction; ``None`` where the kernel does not keep it.
    """

    load: float
    cpu_waiting: float | None


def read_pressure(psi: Path = Path("/proc/pressure/cpu")) -> Pressure:
    """Return the pressure now."""
    try:
        match = re.search(r"some avg10=([\d.]+)", psi.read_text())
    except OSError:
        match = None
    return Pressure(os.getloadavg()[0], float(match[1]) / 100 if match else None)
