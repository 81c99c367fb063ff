"""A localization as one flat fact, a text in JSON, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.report.facts import module_errors
from pytest_cpuaccel.report.facts.scalars import Facts, text, told


def flat(found: Localization | None) -> dict[str, Scalar]:
    """Return the text, none where there was no localization; what is unknown, empty or not finite is left out."""
    if found is None:
        return {}
    growth = module_errors.plain(found.growth)
    return {"localization": json.dumps({**told(asdict(found)), "growth": growth})}


def read(facts: Facts) -> Localization | None:
    """Return what facts hold."""
    written = text(facts, "localization")
    if written is None:
        return None
    fields = json.loads(written)
    return Localization(**{**fields, "growth": module_errors.read(fields.get("growth", ()))})
