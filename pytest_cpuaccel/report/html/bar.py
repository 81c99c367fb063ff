"""A speed as a bar that begins at 1x, with its interval as a line."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.report.html.scale import Scale


@dataclass(frozen=True)
class Bar:
    """Pixels: the bar lies between ``left`` and ``right``, its interval from ``low`` to ``high``.

    They are None where the interval is not known. ``ends`` are those of the two that lie on the scale. ``one`` is the
    place of 1x, ``limit`` that of what is allowed.
    """

    left: float
    right: float
    one: float
    width: float
    low: float | None = None
    high: float | None = None
    ends: tuple[float, ...] = ()
    limit: float | None = None


def bar_of(speed: Estimate, scale: Scale, slowest_allowed: float | None = None) -> Bar:
    """Return the bar of a speed, where more is faster."""
    one, found = scale.x(1.0), scale.x(speed.value)
    is_known = speed.low > 0 and speed.high < math.inf
    return Bar(
        left=min(one, found),
        right=max(one, found),
        one=one,
        width=scale.width,
        low=scale.x(speed.low) if is_known else None,
        high=scale.x(speed.high) if is_known else None,
        ends=tuple(scale.x(end) for end in (speed.low, speed.high) if is_known and scale.holds(end)),
        limit=None if slowest_allowed is None else scale.x(slowest_allowed),
    )
