"""What the streamer of a ``generate()`` was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Heard:
    """``told`` are copies of what it was given, in order: the prompt, then tokens. ``is_ended``: it was told so."""

    told: tuple[Any, ...] = ()
    is_ended: bool = False


class Listener:
    """A streamer that notes what it hears, and passes it on to the streamer in whose place it stands."""

    def __init__(self, streamer: Any = None) -> None:
        self._streamer = streamer
        self._told: list[Any] = []
        self._is_ended = False

    def put(self, value: Any) -> None:
        """Take the prompt, or the next token of each text."""
        self._told.append(value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value)
        if self._streamer is not None:
            self._streamer.put(value)

    def end(self) -> None:
        """Take note that no more will come."""
        self._is_ended = True
        if self._streamer is not None:
            self._streamer.end()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the streamer in whose place it stands."""
        if name.startswith("_") or self._streamer is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._streamer, name)

    def __deepcopy__(self, memo: Any) -> Listener:
        """Return itself: a copy of a call's inputs would be told in its place."""
        return self

    @property
    def heard(self) -> Heard:
        """Return what it heard so far."""
        return Heard(tuple(self._told), self._is_ended)
