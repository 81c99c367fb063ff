"""Flat facts, read one by one: what is absent or damaged is None."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from pytest_cpuaccel.core.backend import Scalar

Facts = Mapping[str, Scalar]

STRUCTURED = ("evidence", "diagnoses", "notes", "localization", "sensitivity", "census", "flipped")
"""Facts that are texts in JSON, and stand in a JSON file as what these texts mean."""


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


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that JSON can hold and that say something; it has no number that is not finite."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), []) and _is_finite(value)}


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or isfinite(value)
