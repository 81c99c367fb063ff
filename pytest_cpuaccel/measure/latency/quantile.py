"""A quantile of a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

MEDIAN = 0.5


def quantile(values: Sequence[float], level: float) -> float:
    """Return the least value that no less than the share ``level`` of all values keeps to (nearest rank)."""
    return sorted(values)[max(0, math.ceil(level * len(values)) - 1)]
