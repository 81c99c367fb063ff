"""Outputs that are no tensors: text, None, and objects of the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_cpuaccel.core.description import describe
from pytest_cpuaccel.core.equality import equal, is_exact
from pytest_cpuaccel.core.measurement.parity import ObjectFigures, Relation
from pytest_cpuaccel.measure.parity.leaves import holds_tensors


def object_figures(actual: Any, expected: Any) -> ObjectFigures:
    """Return how two outputs stand to each other of which one at least is no tensor."""
    kind, relation = type(expected).__name__, _relation(actual, expected)
    if relation in ("other type", "exact"):
        return ObjectFigures(kind, relation, describe(actual), describe(expected))
    return ObjectFigures(kind, relation)


def _relation(actual: Any, expected: Any) -> Relation:
    if actual is None and expected is None:
        return "none"
    if type(actual) is not type(expected):
        return "other type"
    if holds_tensors(expected):
        return "holding tensors"
    is_equal = equal(actual, expected)
    if is_equal is None:
        return "unknown"
    if is_equal:
        return "equal"
    return "exact" if is_exact(expected) or isinstance(expected, np.ndarray) else "other"
