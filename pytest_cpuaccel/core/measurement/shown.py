"""What a measurement has shown of a limit."""

from __future__ import annotations

from enum import Enum


class Shown(str, Enum):
    """On which side of the limit the measured figure was shown to lie; OPEN where it could not be told."""

    ABOVE = "above"
    BELOW = "below"
    OPEN = "open"
