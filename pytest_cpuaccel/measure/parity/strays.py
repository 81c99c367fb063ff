"""Strays: elements that are NaN or infinite in one of two tensors and different in the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.measure.parity.pieces import Piece


@dataclass
class Strays:
    """How many of them there are, and where the first stands among all elements of the tensor."""

    count: int = 0
    first: int | None = None

    def take(self, flags: torch.Tensor, piece: Piece) -> None:
        """Count the True places of one piece."""
        found = int(flags.sum())
        if found and self.first is None:
            self.first = piece.place(int(flags.nonzero()[0]))
        self.count += found
