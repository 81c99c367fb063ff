"""A run of tests: when, by which command, and on which commit."""

from __future__ import annotations

import shlex
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_GIT_S = 10.0
_SHORT = 12


@dataclass(frozen=True)
class Run:
    """``started`` is a time in ISO 8601. ``seconds`` is None until the run is over, or where it was killed.

    ``commit`` is the hash of the commit in the tests' repository, None outside of one; ``changed`` tells whether files
    of it had changes that were not committed.
    """

    id: str
    started: str
    command: str
    commit: str | None = None
    changed: bool = False
    seconds: float | None = None

    @property
    def commit_label(self) -> str:
        """Return the commit as it is shown; "" where there is none."""
        return "" if self.commit is None else f"{self.commit[:_SHORT]}{' with changes' if self.changed else ''}"

    def finished(self) -> Run:
        """Return the run with the time from its start until now."""
        passed = datetime.now(timezone.utc) - datetime.fromisoformat(self.started)
        return replace(self, seconds=round(passed.total_seconds(), 1))

    def as_plain(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def new_run(command: Sequence[str], folder: Path, began: datetime | None = None) -> Run:
    """Return a run of a command in a folder, which starts now unless it ``began`` before; git tells its commit."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = bool(commit) and bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    started = began or datetime.now(timezone.utc)
    return Run(str(uuid.uuid4()), started.isoformat(timespec="seconds"), shlex.join(command), commit or None, changed)


def run_of(plain: Mapping[str, Any]) -> Run:
    """Return the run that :meth:`Run.as_plain` wrote."""
    return Run(**plain)


def _git(folder: Path, *arguments: str) -> str:
    """What git says; "" where there is no git or no repository. It takes no lock and changes nothing."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
