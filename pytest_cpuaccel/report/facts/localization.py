"""A localization as one flat fact, a text in JSON, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.report.facts.scalars import Facts, text


def flat(found: Localization | None) -> dict[str, Scalar]:
    """Return the text, none where there was no localization; what is unknown, empty or not finite is left out."""
    if found is None:
        return {}
    growth = [_known(asdict(each)) for each in found.growth]
    known = {name: value for name, value in _known({**asdict(found), "growth": growth}).items() if value != ""}
    return {"localization": json.dumps(known)}


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that JSON can hold; it has no number that is not finite."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and not (isinstance(value, float) and not isfinite(value))
    }


def read(facts: Facts) -> Localization | None:
    """Return what facts hold; an error that was left out was not finite."""
    written = text(facts, "localization")
    if written is None:
        return None
    fields = json.loads(written)
    growth = tuple(ModuleError(**{"error": inf, "rounding": 0.0, **each}) for each in fields.pop("growth", ()))
    return Localization(**fields, growth=growth)
