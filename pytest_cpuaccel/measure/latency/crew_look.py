"""A look: how many processes a side it has, and its part of the error rates."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Look:
    """``share`` is the part of each alpha that may be spent on it."""

    processes: int
    share: float


LOOKS = (Look(4, 0.2), Look(6, 0.2), Look(8, 0.2), Look(12, 0.4))
"""The last has most. Easy races end at the first look whatever its share; where processes differ by 2 %, only the last
can find a slowdown of 10 %, and with 0.15 of the alphas it misses 5 % of them, with 0.4 under 2 %."""

ESTIMATE = Look(4, 1.0)
"""The only look of a race without a limit."""

FEWEST_TO_BE_ABOVE = 6
"""Of fewer processes a side, every one has to lie beyond the limit: one that is 9 % off by chance fails nobody."""


def looks_within(most_processes: int) -> tuple[Look, ...]:
    """Return the looks of so many processes a side at most; the last has what the others leave.

    Raises:
        ValueError: they are too few for any look.
    """
    looks = [look for look in LOOKS if look.processes <= most_processes]
    if not looks:
        raise ValueError(f"{most_processes} processes a side; a race of environments needs {LOOKS[0].processes}")
    spent = sum(look.share for look in looks[:-1])
    return (*looks[:-1], replace(looks[-1], share=1 - spent))
