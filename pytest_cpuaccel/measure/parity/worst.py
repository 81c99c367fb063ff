"""The worst element: the one that uses most of what it may be off by."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.pieces import Piece


@dataclass(frozen=True)
class Worst:
    """The element that uses most of what ``rtol`` and ``atol`` allow: its difference, its limit, and its place.

    ``use`` is one over the other, ``exceeded`` tells whether any element is off by more than its limit.
    """

    use: float = -1.0
    difference: float = 0.0
    limit: float = 0.0
    place: int = 0
    exceeded: bool = False

    def or_of(
        self, piece: Piece, values: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None], rtol: float, atol: float
    ) -> Worst:
        """Return it or the worst of a piece, whose compared elements of both sides and their places are ``values``."""
        actual, expected, places = values
        if not expected.numel():
            return self
        difference = actual.sub(expected).abs_()
        limit = expected.abs().mul_(rtol).add_(atol)
        use = error.used(difference, limit)
        number = int(use.argmax())
        place = piece.place(number if places is None else int(places[number]))
        share = float(use[number])
        exceeded = self.exceeded or bool((difference > limit).any())
        if share > self.use or (share == self.use and place < self.place):
            return Worst(share, float(difference[number]), float(limit[number]), place, exceeded)
        return Worst(self.use, self.difference, self.limit, self.place, exceeded)
