"""Errors of modules, as a localization and a sensitivity have them, in the form that JSON holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import inf
from typing import Any

from pytest_cpuaccel.core.localization import ModuleError
from pytest_cpuaccel.report.facts.scalars import told


def plain(errors: Iterable[ModuleError]) -> list[dict[str, Any]]:
    """Return the fields of each; an error that is not finite is left out. The whole model's path is ""."""
    return [{"module": each.module, "type": each.type, **told(asdict(each))} for each in errors]


def read(fields: Iterable[Mapping[str, Any]]) -> tuple[ModuleError, ...]:
    """Return what :func:`plain` wrote; an error that was left out was not finite."""
    return tuple(ModuleError(**{"error": inf, "rounding": 0.0, **each}) for each in fields)
