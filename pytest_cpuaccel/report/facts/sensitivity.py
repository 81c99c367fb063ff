"""A sensitivity as one flat fact, a text in JSON, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.report.facts import module_errors
from pytest_cpuaccel.report.facts.scalars import Facts, text, told


def flat(found: Sensitivity | None) -> dict[str, Scalar]:
    """Return the text, none where there was no sensitivity; what is unknown, empty or not finite is left out."""
    if found is None:
        return {}
    return {"sensitivity": json.dumps(told({**asdict(found), "modules": module_errors.plain(found.modules)}))}


def read(facts: Facts) -> Sensitivity | None:
    """Return what facts hold."""
    written = text(facts, "sensitivity")
    if written is None:
        return None
    fields = json.loads(written)
    modules = module_errors.read(fields.pop("modules", ()))
    return Sensitivity(**{**fields, "modules": modules, "keep_fp32": tuple(fields.get("keep_fp32", ()))})
