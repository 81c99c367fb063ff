"""Results as properties of pytest's tests: so they stand in JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.facts.scalars import STRUCTURED, Facts

PREFIX = "cpuaccel"

_PROPERTY = re.compile(rf"{PREFIX}\.\d+\..+")
_LEFT_OUT = ("pairs_ns", *STRUCTURED)
"""Raw figures, and what the message of a failure holds already."""


def properties_of(number: int, facts: Facts) -> Iterator[tuple[str, Scalar]]:
    """Yield the facts of a test's result of this number as user properties."""
    for name, value in facts.items():
        if name.rpartition(".")[2] not in _LEFT_OUT:
            yield f"{PREFIX}.{number}.{name}", value


def is_of_result(key: str) -> bool:
    """Tell whether a user property of this name is a fact of a result."""
    return _PROPERTY.fullmatch(key) is not None
