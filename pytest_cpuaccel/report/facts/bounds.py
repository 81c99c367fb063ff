"""Bounds that were inferred from a sample as flat facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number

_LIMITS: dict[Literal["drop", "score"], str] = {"drop": "max_drop", "score": "min_score"}
_OF_THESE = "these"


def flat(bounds: Sequence[Bounds]) -> dict[str, Scalar]:
    """Return the facts of bounds on several quantities; of their needs of items the last one is kept."""
    facts: dict[str, Scalar] = {}
    for of in bounds:
        facts |= known(
            {
                _LIMITS[of.quantity]: of.limit,
                f"{of.quantity}_lower": of.lower,
                f"{of.quantity}_upper": of.upper,
                "lost_items": of.lost_items,
                "gained_items": of.gained_items,
                "more_items": of.more_items,
                "of": _OF_THESE if of.lower is None else None,
            }
        )
    return facts


def read(facts: Facts) -> tuple[Bounds, ...]:
    """Return the bounds that facts hold."""
    return tuple(_bounds(facts))


def _bounds(facts: Facts) -> Iterator[Bounds]:
    for quantity, name in _LIMITS.items():
        limit = number(facts, name)
        if limit is not None:
            is_drop = quantity == "drop"
            yield Bounds(
                quantity,
                limit,
                number(facts, f"{quantity}_lower"),
                number(facts, f"{quantity}_upper"),
                count(facts, "lost_items") if is_drop else None,
                count(facts, "gained_items") if is_drop else None,
                count(facts, "more_items"),
            )
