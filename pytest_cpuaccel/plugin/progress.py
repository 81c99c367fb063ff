"""Progress of slow work: what is done now, for which test, and for how long already."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol


class Display(Protocol):
    """A place where progress is shown: ``first_s`` after work began, then every ``every_s``."""

    first_s: float
    every_s: float

    def show(self, test: str, text: str, seconds: float) -> None:
        """Show what is done for a test, and for how many seconds already."""

    def wipe(self) -> None:
        """Remove what is shown, if that can be removed."""


@dataclass
class _Piece:
    text: str
    began_s: float
    rest_s: float


@dataclass
class Progress:
    """Shows work on a ``display``, and nothing if that is None. ``test`` is the node id of the current test."""

    display: Display | None
    test: str = ""
    clock: Callable[[], float] = monotonic
    _pieces: list[_Piece] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _due_s: float = 0.0
    _is_watched: bool = False
    _has_shown: bool = False

    @contextlib.contextmanager
    def busy(self, text: str, rest_s: float = 0.0) -> Iterator[None]:
        """Show ``text`` while this work lasts; work within it is shown in its place.

        A thread looks after it. Work that reports itself by :meth:`show`, and that a thread would disturb, has it rest
        for ``rest_s`` between two looks; with ``math.inf`` there is no thread.
        """
        if self.display is None:
            yield
            return
        piece = self._begin(_Piece(text, self.clock(), rest_s))
        try:
            yield
        finally:
            self._end(piece)

    def show(self, text: str) -> None:
        """Have ``text`` shown from now on instead of the current work's."""
        with self._changed:
            if self._pieces:
                self._pieces[-1].text = text
                self._show_if_due()

    def _begin(self, piece: _Piece) -> _Piece:
        with self._changed:
            if not self._pieces and self.display is not None:
                self._due_s, self._has_shown = piece.began_s + self.display.first_s, False
            self._pieces.append(piece)
            self._show_if_due()
            if not self._is_watched and piece.rest_s < math.inf:
                self._is_watched = True
                threading.Thread(target=self._watch, name="cpuaccel-progress", daemon=True).start()
            self._changed.notify_all()
        return piece

    def _end(self, piece: _Piece) -> None:
        with self._changed:
            self._pieces.remove(piece)
            if self.display is not None and not self._pieces:
                self.display.wipe()
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            while self._pieces:
                if not self._show_if_due():
                    self._changed.wait(self._pause_s())
            self._is_watched = False

    def _pause_s(self) -> float:
        piece, left_s = self._pieces[-1], self._due_s - self.clock()
        return min(max(left_s, piece.rest_s) if self._has_shown else left_s, threading.TIMEOUT_MAX)

    def _show_if_due(self) -> bool:
        now_s = self.clock()
        if self.display is None or now_s < self._due_s:
            return False
        piece = self._pieces[-1]
        self.display.show(self.test, piece.text, now_s - piece.began_s)
        self._due_s, self._has_shown = now_s + self.display.every_s, True
        return True
