"""A mapping keyed by the identity of objects, not by their ``==``; an entry ends with its object."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(Generic[K, V]):
    """Maps objects to values by identity, and holds the objects weakly.

    When an object is collected, ``on_loss`` is called with its value.
    """

    def __init__(self, on_loss: Callable[[V], object] | None = None) -> None:
        self._entries: dict[int, tuple[weakref.ref[K], V]] = {}
        self._on_loss = on_loss

    def get(self, key: K) -> V | None:
        """Return the value of an object; None where it has none."""
        entry = self._entries.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def setdefault(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of an object; make it now if there is none."""
        entry = self._entries.get(id(key))
        if entry is None or entry[0]() is not key:
            self[key] = make()
        return self._entries[id(key)][1]

    def __setitem__(self, key: K, value: V) -> None:
        place = id(key)

        def lose(dead: weakref.ref[K]) -> None:
            entry = self._entries.get(place)
            if entry is not None and entry[0] is dead:
                del self._entries[place]
                if self._on_loss is not None:
                    self._on_loss(entry[1])

        self._entries[place] = (weakref.ref(key, lose), value)

    def pop(self, key: K) -> V | None:
        """Remove the entry of an object and return its value; None where it has none."""
        value = self.get(key)
        if value is not None:
            del self._entries[id(key)]
        return value

    def values(self) -> Iterator[V]:
        """Yield the values of the objects that still exist."""
        return iter([value for _, value in self._entries.values()])
