"""A run's baselines: the one that it is compared with, and the one that it saves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.core.baseline import Baseline


@dataclass(frozen=True)
class BaselineSettings:
    """``shelf`` is the folder that takes the artifacts of a baseline being saved, None while none is.

    A call may take ``1 + max_slowdown`` times as long as in the baseline ``against``.
    """

    shelf: Path | None = None
    against: Baseline | None = None
    max_slowdown: float = 0.0

    @property
    def needs_ratios(self) -> bool:
        """Tell whether ratios are kept or compared."""
        return self.shelf is not None or self.against is not None


NO_BASELINES = BaselineSettings()
