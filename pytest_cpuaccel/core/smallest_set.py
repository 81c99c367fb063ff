"""The smallest set of changes that does what all of them do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def smallest_set(changes: Sequence[T], does_it: Callable[[Sequence[T]], bool | None]) -> tuple[T, ...]:
    """Return a set of changes of which none can be left out; all together are known to do it.

    ``does_it`` is asked for sets; None says that this set can't be tried. It is delta debugging (Zeller and
    Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): halves first, then what is left without each
    part. It asks for 2 log2(n) sets where one change does it alone, and for n squared at worst.
    """
    left, parts = tuple(changes), 2
    while len(left) > 1:
        smaller = next((some for some in _tried(left, parts) if does_it(some)), None)
        if smaller is not None:
            parts = 2 if len(smaller) * parts <= len(left) else max(parts - 1, 2)
            left = smaller
        elif parts >= len(left):
            break
        else:
            parts = min(2 * parts, len(left))
    return left


def _tried(changes: tuple[T, ...], parts: int) -> list[tuple[T, ...]]:
    """Each part by itself, then all without each part."""
    size = -(-len(changes) // parts)
    places = [(at, at + size) for at in range(0, len(changes), size)]
    alone = [changes[start:end] for start, end in places]
    without = [changes[:start] + changes[end:] for start, end in places]
    return alone + (without if len(places) > 2 else [])
