"""The ranking of modules by the error that each makes by itself, in reduced precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.localization import ModuleError
from pytest_cpuaccel.diagnose.localize.reference import EagerModules

SECONDS = 30.0
"""How long modules are run alone."""

Run = Callable[[ModuleCall], Any]
"""Runs one module on what a call of it in eager took, as rounded as the backend would."""


@dataclass(frozen=True)
class Ranking:
    """``modules`` has the greatest error first; ``left_out`` could not be run alone, or not in time."""

    modules: tuple[ModuleError, ...]
    left_out: int = 0


def ranking(eager: EagerModules, paths: Collection[str], run: Run) -> Ranking:
    """Return the modules at these paths by the error of the worst of their calls: relative, in the 2-norm."""
    until = time.monotonic() + SECONDS
    calls = [call for call in eager.rounded.values() if call.path in paths]
    worst: dict[str, ModuleError] = {}
    for call in calls:
        found = None if time.monotonic() > until else _error(eager, call, run)
        if found is not None and (call.path not in worst or worst[call.path].error < found.error):
            worst[call.path] = found
    ranked = sorted(worst.values(), key=lambda each: -each.error)
    return Ranking(tuple(ranked), len({call.path for call in calls}) - len(ranked))


def _error(eager: EagerModules, call: ModuleCall, run: Run) -> ModuleError | None:
    try:
        with upstream.contained():
            found = eager.error_of(call.place, run(call))
    except CpuaccelError:
        return None
    return None if found is None else ModuleError(call.path, call.type, found.error, found.rounding)
