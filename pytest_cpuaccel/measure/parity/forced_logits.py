"""Teacher-forced logits: those of one forward call over eager's tokens, of eager and of a backend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch.nn.functional import kl_div

from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import INT8_NEAR_TIE
from pytest_cpuaccel.measure.parity.margin import margin_bound

BEST = 5
"""Tokens that are compared as the best ones of a position."""


class Distance(NamedTuple):
    """How far next-token distributions lie apart, over all positions that count.

    ``kl_nats`` is the mean KL divergence from eager's in nats, ``top1`` the share of positions whose best token is the
    same, ``top5`` the mean share of eager's five best tokens that are among the backend's five best.
    """

    kl_nats: float
    top1: float
    top5: float


@dataclass(frozen=True)
class ForcedLogits:
    """Logits (batch, length, vocabulary); ``logits[:, i]`` scores token ``i + 1``.

    ``expected64`` are eager's in fp64, ``rounding`` eager's in the backend's precision, ``actual`` the backend's; None
    where they are not known. ``counted`` are the positions that count, as bools (batch, length); None for all.
    """

    expected: torch.Tensor
    expected64: torch.Tensor | None = None
    rounding: torch.Tensor | None = None
    actual: torch.Tensor | None = None
    counted: torch.Tensor | None = None

    def between(self, start: int, stop: int) -> ForcedLogits:
        """Return the logits of some positions alone."""

        def cut(logits: torch.Tensor) -> torch.Tensor:
            return logits.detach()[:, start:stop]

        others = (None if item is None else cut(item) for item in (self.expected64, self.rounding, self.actual))
        return ForcedLogits(cut(self.expected), *others)

    @cached_property
    def moved(self) -> torch.Tensor | None:
        """Return by how much ``rounding`` moves the logits of each position apart, as root mean square."""
        if self.rounding is None or self.rounding.shape != self.expected.shape:
            return None
        apart = self.rounding.double() - self._exact
        return (apart - apart.mean(-1, keepdim=True)).square().mean(-1).sqrt()

    @property
    def _places(self) -> torch.Tensor:
        return torch.ones(self.expected.shape[:2], dtype=torch.bool) if self.counted is None else self.counted

    @property
    def _exact(self) -> torch.Tensor:
        return (self.expected if self.expected64 is None else self.expected64).double()

    def bound(self, place: tuple[int, int], precision: Precision) -> float:
        """Return the margin that rounding can turn round at a position; of int8 by what it moves the logits there."""
        if precision is Precision.INT8 and self.moved is not None:
            return INT8_NEAR_TIE * float(self.moved[place])
        return margin_bound(self.expected[place].double(), self._exact[place], precision)

    def is_followed_by(self, tokens: torch.Tensor) -> bool:
        """Tell whether tokens (batch, length) are the best ones wherever int8 does not decide that.

        Those that were drawn, penalised or found by a search are not, whatever the arithmetic.
        """
        chosen = self.expected.gather(-1, tokens[..., None])[..., 0]
        behind = self.expected.amax(-1) - chosen
        is_best = behind <= (0 if self.moved is None else INT8_NEAR_TIE * self.moved)
        return bool(is_best[self._places].all())

    def clear_agreement(self) -> Share | None:
        """Return in how many positions the best token is the same, of those in which int8 does not decide it.

        It decides where eager's best two lie closer than INT8_NEAR_TIE times what it moves a logit there. None where
        that or the backend's logits are not known.
        """
        moved = self.moved
        if self.actual is None or moved is None or self.actual.shape != self.expected.shape:
            return None
        exact = self._exact
        best = exact.topk(min(2, exact.shape[-1])).values
        is_clear = (best[..., 0] - best[..., -1] > INT8_NEAR_TIE * moved) & self._places
        agree = self.actual.argmax(-1) == exact.argmax(-1)
        return Share(int((agree & is_clear).sum()), int(is_clear.sum()))

    def distance(self) -> Distance | None:
        """Return how far the backend's distributions lie from eager's; None where they can't be compared."""
        if self.actual is None or self.actual.shape != self.expected.shape:
            return None
        expected, actual = self.expected[self._places], self.actual[self._places]
        of_eager, of_backend = expected.double().log_softmax(-1), actual.double().log_softmax(-1)
        kl = kl_div(of_backend, of_eager, reduction="none", log_target=True).sum(-1).mean()
        agreement = (actual.argmax(-1) == expected.argmax(-1)).double().mean()
        count = min(BEST, expected.shape[-1])
        best, best_of_backend = (logits.topk(count).indices for logits in (expected, actual))
        kept = (best[..., None] == best_of_backend[..., None, :]).any(-1).double().mean()
        return Distance(max(float(kl), 0.0), float(agreement), float(kept))
