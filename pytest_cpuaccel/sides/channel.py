"""A channel between two processes: one JSON object a line, over two pipes."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

_LONGEST_LINE = 1 << 26
_CHUNK = 1 << 16


class ClosedChannelError(Exception):
    """The other end is gone."""


class SilentChannelError(Exception):
    """The other end said nothing in time."""


class GarbledChannelError(Exception):
    """The other end said something that is no JSON object, or too much of it."""


@dataclass
class Channel:
    """``reading`` and ``writing`` are descriptors of open pipes, which belong to the channel."""

    reading: int
    writing: int
    _rest: bytearray = field(default_factory=bytearray)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one object.

        Raises:
            ClosedChannelError: nobody reads it.
        """
        left = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while left:
                left = left[os.write(self.writing, left) :]
        except OSError:
            raise ClosedChannelError from None

    def receive(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the next object; None waits without end.

        Raises:
            ClosedChannelError: there is no further one.
            SilentChannelError: ``timeout_s`` passed.
            GarbledChannelError: what came is no object.
        """
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while b"\n" not in self._rest:
            self._read(deadline)
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise GarbledChannelError from None
        if not isinstance(found, dict):
            raise GarbledChannelError
        return found

    def close(self) -> None:
        """Close both ends that this process holds."""
        for descriptor in (self.reading, self.writing):
            os.close(descriptor)

    def _read(self, deadline: float | None) -> None:
        wait_s = None if deadline is None else max(0.0, deadline - monotonic())
        if not select.select([self.reading], [], [], wait_s)[0]:
            raise SilentChannelError
        try:
            chunk = os.read(self.reading, _CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            raise ClosedChannelError
        self._rest += chunk
        if len(self._rest) > _LONGEST_LINE:
            raise GarbledChannelError
