"""A sensitivity as one flat fact, a text in JSON, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.localization import ModuleError
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.report.facts.scalars import Facts, text


def flat(found: Sensitivity | None) -> dict[str, Scalar]:
    """Return the text, none where there was no sensitivity; what is unknown, empty or not finite is left out."""
    if found is None:
        return {}
    modules = [_known(asdict(each)) for each in found.modules]
    return {"sensitivity": json.dumps(_known({**asdict(found), "modules": modules}))}


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if _is_known(value)}


def _is_known(value: object) -> bool:
    return isfinite(value) if isinstance(value, float) else value not in (None, "", ())


def read(facts: Facts) -> Sensitivity | None:
    """Return what facts hold; an error that was left out was not finite."""
    written = text(facts, "sensitivity")
    if written is None:
        return None
    fields = json.loads(written)
    modules = tuple(ModuleError(**{"error": inf, "rounding": 0.0, **each}) for each in fields.pop("modules", ()))
    return Sensitivity(**{**fields, "modules": modules, "keep_fp32": tuple(fields.get("keep_fp32", ()))})
