"""Progress of pytest-xdist's workers: sent to the controller, which alone knows where pytest's cursor stands.

It goes through a socket in Linux's abstract namespace, a datagram for each text. A worker on another machine has no
such socket, and shows nothing.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cpuaccel.plugin.progress import Display

_RECEIVER: pytest.StashKey[Receiver] = pytest.StashKey()
_LONGEST = 1 << 16


WorkerDisplay = tuple[str, float, float]
"""What a worker is told of the controller's display: its socket, and after how many seconds it shows what.

A plain tuple, because execnet takes no other.
"""


@dataclass
class Sender:
    """The display of a worker."""

    address: str
    worker: str
    first_s: float
    every_s: float
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))

    def show(self, test: str, text: str, seconds: float) -> None:
        """Have the controller show it."""
        self._send(test, f"{self.worker}: {text}", seconds)

    def wipe(self) -> None:
        """Have the controller wipe what it shows of this worker."""
        self._send()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, *message: object) -> None:
        with contextlib.suppress(OSError):  # the controller is gone, or too busy to read
            self._socket.sendto(json.dumps([self.worker, *message]).encode(), socket.MSG_DONTWAIT, f"\0{self.address}")


@dataclass
class Receiver:
    """Shows on the controller's ``display`` what workers send."""

    display: Display
    address: str = field(default_factory=lambda: f"cpuaccel-{secrets.token_hex(16)}")
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    _shown: str = ""

    def __post_init__(self) -> None:
        self._socket.bind(f"\0{self.address}")
        threading.Thread(target=self._receive, name="cpuaccel-progress", daemon=True).start()

    def for_worker(self) -> WorkerDisplay:
        """Return what a worker has to know."""
        return self.address, self.display.first_s, self.display.every_s

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.sendto(b"", socket.MSG_DONTWAIT, f"\0{self.address}")

    def _receive(self) -> None:
        with self._socket:
            while message := self._socket.recv(_LONGEST):
                self._obey(*json.loads(message))

    def _obey(self, worker: str, test: str = "", text: str = "", seconds: float = 0.0) -> None:
        if text:
            self.display.show(test, text, seconds)
            self._shown = worker
        elif worker == self._shown:
            self.display.wipe()


def sender_of(config: pytest.Config, told: WorkerDisplay | None) -> Sender | None:
    """Return a worker's display; None where the controller shows nothing."""
    if told is None:
        return None
    worker = config.workerinput["workerid"]  # type: ignore[attr-defined]
    sender = Sender(told[0], worker, told[1], told[2])
    config.add_cleanup(sender.close)
    return sender


def receiver_of(config: pytest.Config, display: Display | None) -> Receiver | None:
    """Return the controller's receiver for its workers; None where nothing is shown."""
    if display is None:
        return None
    if _RECEIVER not in config.stash:
        config.stash[_RECEIVER] = Receiver(display)
        config.add_cleanup(config.stash[_RECEIVER].close)
    return config.stash[_RECEIVER]
