"""The settings of a gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_cpuaccel.core.backend import Backend

Inconclusive = Literal["warn", "fail", "skip"]


@dataclass(frozen=True)
class GateSettings:
    """``source`` is a folder, a hub id or an entry point. ``backends`` can run here; ``missing`` says why others can't.

    ``optional`` names the backends that may refuse the model. ``cache_dir`` is None for the user's own cache folder.
    ``tolerances`` is the file of a tolerance lock.
    """

    source: str
    task: str | None
    backends: tuple[Backend, ...]
    missing: tuple[str, ...]
    optional: frozenset[str]
    inconclusive: Inconclusive
    threads: int
    reports: tuple[Path, ...]
    cache_dir: Path | None
    cache_limit_bytes: int
    tolerances: Path | None
    wait_s: float
