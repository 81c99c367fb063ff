"""Flat facts, read one by one: what is absent or damaged is None."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.core.backend import Scalar

Facts = Mapping[str, Scalar]


def number(facts: Facts, name: str) -> float | None:
    """Return a fact as a number."""
    value = facts.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def count(facts: Facts, name: str) -> int | None:
    """Return a fact as a whole number."""
    value = number(facts, name)
    return None if value is None else int(value)


def text(facts: Facts, name: str) -> str | None:
    """Return a fact as text."""
    value = facts.get(name)
    return value if isinstance(value, str) else None


def truth(facts: Facts, name: str) -> bool | None:
    """Return a fact as true or false."""
    value = facts.get(name)
    return value if isinstance(value, bool) else None


def known(facts: Mapping[str, Scalar | None]) -> dict[str, Scalar]:
    """Return the facts that have a value."""
    return {name: value for name, value in facts.items() if value is not None}
