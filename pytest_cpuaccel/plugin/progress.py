"""Progress of slow work, shown after the cursor on a terminal and erased at the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

_SAVE, _RESTORE_AND_WIPE = "\x1b7", "\x1b8\x1b[K"
_WIDTH = 60


@dataclass
class Progress:
    """Writes to ``terminal`` only, and nothing if that is None; the run's own output is unchanged."""

    terminal: TextIO | None
    _shown: bool = False

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show ``text`` from the first second of the work until its end."""
        if self.terminal is None:
            yield
            return
        timer = threading.Timer(1.0, self.show, [text])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._wipe()

    def show(self, text: str) -> None:
        """Show ``text`` instead of the text before."""
        if self.terminal is not None:
            self._wipe()
            self.terminal.write(f"{_SAVE} [{text[:_WIDTH]}]")
            self.terminal.flush()
            self._shown = True

    def _wipe(self) -> None:
        if self._shown and self.terminal is not None:
            self.terminal.write(_RESTORE_AND_WIPE)
            self.terminal.flush()
            self._shown = False
