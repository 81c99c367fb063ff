"""A logarithmic scale of speeds: twice as fast lies as far to the right of 1x as half as fast to its left."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_NEAR = 1.25
"""The end of a scale of which all speeds are near 1x; on any other the ends are powers of two."""
_GREATEST = 128.0
_ROOM_FOR_LABEL = 38.0


@dataclass(frozen=True)
class Tick:
    """A line at ``x`` in pixels; its label is "" where there is no room for it."""

    x: float
    label: str


@dataclass(frozen=True)
class Scale:
    """From ``low`` to ``high``, on ``width`` pixels."""

    low: float
    high: float
    width: float

    def x(self, speed: float) -> float:
        """Return the pixel of a speed; what lies beyond an end is drawn at the end."""
        share = math.log(min(max(speed, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return round(share * self.width, 1)

    def holds(self, speed: float) -> bool:
        """Tell whether a speed lies on the scale."""
        return self.low <= speed <= self.high

    def ticks(self) -> tuple[Tick, ...]:
        """Return both ends and 1x, which keeps its label where labels would touch."""
        middle = self.x(1.0)
        low = f"{self.low:.3g}x" if middle >= _ROOM_FOR_LABEL else ""
        high = f"{self.high:.3g}x" if self.width - middle >= _ROOM_FOR_LABEL else ""
        return Tick(0.0, low), Tick(middle, "1x"), Tick(self.width, high)


def scale_for(speeds: Iterable[float], width: float) -> Scale:
    """Return a scale that holds 1x and all these speeds, as far as they are within a factor of 128."""
    logs = [math.log2(speed) for speed in speeds if 0 < speed < math.inf] or [0.0]
    if max(map(abs, logs)) <= math.log2(_NEAR):
        return Scale(1 / _NEAR, _NEAR, width)
    return Scale(1 / _end(-min(logs)), _end(max(logs)), width)


def _end(log: float) -> float:
    return min(2.0 ** max(math.ceil(log), 1), _GREATEST)
