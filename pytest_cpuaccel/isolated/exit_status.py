"""How a process died, for whoever waited for it."""

from __future__ import annotations

import signal
from pathlib import Path


def death(exit_code: int, log: Path) -> str:
    """Return how a process ended, its exit code as ``subprocess`` gives it, and the last line that it printed."""
    how = f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f"{how}: {lines[-1].strip()}" if lines else how
