"""The lock that lets one clock run alone on this machine while everything else shares it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import ReadWriteLock


def default_lock_path() -> Path:
    """Return the path of this user's lock, the same for every pytest session on the machine."""
    return Path(tempfile.gettempdir()) / f"cpuaccel-{os.getuid()}.lock"


@dataclass
class MachineLock:
    """Readers share the machine, a writer has it alone; the system frees the lock of a process that died."""

    path: Path
    _shared: bool = False
    _lock: ReadWriteLock = field(init=False)

    def __post_init__(self) -> None:
        self._lock = ReadWriteLock(self.path, is_singleton=False)

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Work beside others, but not while anybody's clock runs."""
        self._lock.acquire_read()
        self._shared = True
        try:
            yield
        finally:
            self._shared = False
            self._lock.release()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the machine alone; a share held now is given back for that time."""
        shared = self._shared
        if shared:
            self._lock.release()
        try:
            with self._lock.write_lock():
                yield
        finally:
            if shared:
                self._lock.acquire_read()
