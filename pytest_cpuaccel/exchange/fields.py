"""Fields of an object in JSON, each checked as it is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_cpuaccel.core.errors import UsageError

T = TypeVar("T")

LONGEST_TEXT = 100_000
MOST_ITEMS = 100_000
_MOST_NUMBER = sys.float_info.max


@dataclass(frozen=True)
class Fields:
    """``place`` names the object in messages."""

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, value: Any, place: str) -> Fields:
        """Return the fields of an object.

        Raises:
            UsageError: it is none.
        """
        if not isinstance(value, dict):
            raise UsageError(f"{place} is no object")
        return cls(value, place)

    def only(self, *names: str) -> None:
        """Check that the object has no other fields than these.

        Raises:
            UsageError: it has one.
        """
        for name in self.values:
            if name not in names:
                raise UsageError(f"{self._at(name)} is no field of a bundle")

    def text(self, name: str) -> str:
        """Return a text."""
        value: str = self.of_type(name, str)
        if len(value) > LONGEST_TEXT:
            raise UsageError(f"{self._at(name)} has more than {LONGEST_TEXT} characters")
        return value

    def count(self, name: str, most: int = 1 << 53) -> int:
        """Return an integer from 0 to ``most``."""
        value: int = self.of_type(name, int)
        if isinstance(value, bool) or not 0 <= value <= most:
            raise UsageError(f"{self._at(name)} is not between 0 and {most}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value: bool = self.of_type(name, bool)
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number, or None for null."""
        value = self.of_type(name, (int, float, type(None)))
        if isinstance(value, bool):
            raise UsageError(f"{self._at(name)} is no number")
        if value is None:
            return None
        if not -_MOST_NUMBER <= value <= _MOST_NUMBER:
            raise UsageError(f"{self._at(name)} is no finite number")
        return float(value)

    def figure(self, name: str) -> float:
        """Return a finite number, which can't be null."""
        value = self.number(name)
        if value is None:
            raise UsageError(f"{self._at(name)} is null, which it can't be")
        return value

    def figures(self, name: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        items = Fields({str(at): item for at, item in enumerate(self.items(name))}, self._at(name))
        return tuple(map(items.figure, items.values))

    def meant(self, name: str, parse: Callable[[Any], T]) -> T | None:
        """Return what ``parse`` makes of a number, or None for null; its message follows the field's name.

        Raises:
            UsageError: there is no number, or none that has a meaning.
        """
        value = self.number(name)
        try:
            return None if value is None else parse(value)
        except UsageError as mistake:
            raise UsageError(f"{self._at(name)}: {mistake}") from None

    def positive(self, name: str) -> float | None:
        """Return a number above 0, or None for null."""
        value = self.number(name)
        if value is not None and value <= 0:
            raise UsageError(f"{self._at(name)} is not above 0")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        """Return one of some texts."""
        value = self.text(name)
        if value not in allowed:
            raise UsageError(f"{self._at(name)} is {value[:40]!r}; it may be {', '.join(allowed)}")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None for null."""
        return None if self.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        items = self.items(name)
        if not all(isinstance(item, str) and len(item) <= LONGEST_TEXT for item in items):
            raise UsageError(f"{self._at(name)} is no list of texts")
        return tuple(items)

    def texts_by_name(self, name: str) -> dict[str, str]:
        """Return an object whose values are texts."""
        inner = self.object(name)
        return {key: inner.text(key) for key in inner.values}

    def items(self, name: str, most: int = MOST_ITEMS) -> list[Any]:
        """Return a list of at most ``most`` items."""
        items: list[Any] = self.of_type(name, list)
        if len(items) > most:
            raise UsageError(f"{self._at(name)} has more than {most} items")
        return items

    def objects(self, name: str, most: int = MOST_ITEMS) -> list[Fields]:
        """Return a list of at most ``most`` objects."""
        return [Fields.of(item, f"{self._at(name)}[{number}]") for number, item in enumerate(self.items(name, most))]

    def object(self, name: str) -> Fields:
        """Return an object."""
        return Fields.of(self.get(name), self._at(name))

    def optional(self, name: str, read: Callable[[Fields], T]) -> T | None:
        """Return what is read of an object, or None for null."""
        return None if self.get(name) is None else read(self.object(name))

    def get(self, name: str) -> Any:
        """Return whatever stands there.

        Raises:
            UsageError: nothing does.
        """
        if name not in self.values:
            raise UsageError(f"{self._at(name)} is missing")
        return self.values[name]

    def of_type(self, name: str, kind: Any) -> Any:
        """Return a value of a type.

        Raises:
            UsageError: it has another.
        """
        value = self.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise UsageError(f"{self._at(name)} is a {type(value).__name__}, which it can't be")
        return value

    def _at(self, name: str) -> str:
        return f"{self.place}.{name[:40]}" if self.place else name[:40]
