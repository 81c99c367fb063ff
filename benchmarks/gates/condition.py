"""A condition: what else happens on the machine while gates measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """``drift`` is the share of a call's own time that is added to both sides at the height of the drift."""

    summary: str
    neighbours: int = 0
    drift: float = 0.0


CONDITIONS: Mapping[str, Condition] = {
    "quiet": Condition("nothing else is started"),
    "one-neighbour": Condition("another process multiplies matrices, on and off", neighbours=1),
    "two-neighbours": Condition("two such processes, each in its own rhythm", neighbours=2),
    "drift": Condition("every call of both sides slows by up to 20 % and recovers, once a minute", drift=0.2),
}
