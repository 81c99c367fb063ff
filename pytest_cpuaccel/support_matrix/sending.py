"""Backends on their way to another process, as bytes."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.core.backend import Backend


def packed(backends: Sequence[Backend]) -> bytes:
    """Return backends as bytes; one whose functions can't be pickled, such as lambdas, is sent by its name."""
    return pickle.dumps([_pickled(backend) or backend.name for backend in backends])


def unpacked(sent: bytes) -> list[Backend]:
    """Return the backends; one that was sent by its name is asked for again, from the plugins of this folder."""
    items: list[bytes | str] = pickle.loads(sent)
    known = known_backends(Path.cwd()).by_name if any(isinstance(item, str) for item in items) else {}
    return [known[item] if isinstance(item, str) else pickle.loads(item) for item in items]


def _pickled(backend: Backend) -> bytes | None:
    try:
        return pickle.dumps(backend)
    except Exception:
        return None
