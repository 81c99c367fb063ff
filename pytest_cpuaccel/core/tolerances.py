"""The tolerances of the ``parity`` mark: for all outputs, or for each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_cpuaccel.core import budget_values as values
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.budget_values import Parser
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.suggestion import suggestion

TOLERANCES: dict[str, Parser] = {
    "rtol": values.tolerance,
    "atol": values.tolerance,
    "cosine": values.cosine,
    "sqnr_db": values.decibels,
    "top1": values.share,
    "neighbours": values.share,
}


def outputs(value: Any) -> tuple[dict[str, Tolerance], tuple[str, ...]]:
    """Return tolerances by name, from a dict, and the only names to compare, from a list; names are globs.

    Raises:
        UsageError: the value is neither, or a tolerance has no meaning.
    """
    if isinstance(value, Mapping):
        return {str(name): _tolerance(given) for name, given in value.items()}, ()
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f'{shown(value)} names no output; write ["logits"] or {{"logits": {{"atol": 1e-3}}}}')
    return {}, names


def _tolerance(value: Any) -> Tolerance:
    if not isinstance(value, Mapping):
        raise UsageError(f'{shown(value)} is not a tolerance; write {{"rtol": 1e-3, "atol": 1e-5}}')
    for key in value:
        if key not in TOLERANCES:
            raise UsageError(f"no tolerance named {key!r}; {suggestion(key, TOLERANCES)}")
    return Tolerance(**{key: TOLERANCES[key](given) for key, given in value.items()})
