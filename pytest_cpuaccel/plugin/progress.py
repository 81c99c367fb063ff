"""What takes long, shown after the cursor on a terminal and wiped when it is over."""

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
    """Writes to ``terminal`` only, and not at all when that is None; the run's own output stays as it would be."""

    terminal: TextIO | None
    _shown: bool = False

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show ``text`` once it has taken a second, until it is over."""
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
        """Show ``text`` in place of what was shown before."""
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
