"""Single facts, read back with the type that they must have."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.core.backend import Scalar

Facts = Mapping[str, Scalar]


def number(facts: Facts, name: str) -> float | None:
    """Return a fact that is a number; None where there is none."""
    value = facts.get(name)
    return value if isinstance(value, (int, float)) else None


def whole(facts: Facts, name: str) -> int | None:
    """Return a fact that is a whole number; None where there is none."""
    value = facts.get(name)
    return value if isinstance(value, int) else None


def text(facts: Facts, name: str) -> str:
    """Return a fact as text; "" where there is none."""
    return str(facts.get(name, ""))


def known(facts: Mapping[str, Scalar | None]) -> dict[str, Scalar]:
    """Return the facts that are known, those that are not None."""
    return {name: value for name, value in facts.items() if value is not None}
