"""What a command tells of waiting."""

from __future__ import annotations

import contextlib
import sys


class Waits:
    """Tells of a wait for another process, once for each."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def busy(self, text: str, rest_s: float = 0.0) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002
        """Tell nothing of ordinary work."""
        return contextlib.nullcontext()

    def show(self, text: str) -> None:
        """Print whom a timing waits for."""
        if text.startswith("waiting for") and text not in self._told:
            self._told.add(text)
            print(text, file=sys.stderr, flush=True)  # noqa: T201
