"""The elements of one output that are compared: unmasked, and finite on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.measure.parity.defaults import INFINITE
from pytest_cpuaccel.measure.parity.leaves import Pair


@dataclass(frozen=True)
class Elements:
    """``actual``, ``expected`` and its variants, as in ``Pair``: fp64 vectors over the True places of ``kept``.

    ``mismatched`` are unmasked places that are NaN or infinite on one side and not the same on the other,
    ``lost`` those of them where eager's fp64 is finite and its fp32 is not, ``alike`` counts those that are the same
    on both, ``unfit`` those that are NaN or infinite under eager, ``total`` all unmasked elements, ``longest`` and
    ``longest_kept`` as in ``Pair``. Values beyond ``INFINITE`` count as infinite.
    """

    actual: torch.Tensor
    expected: torch.Tensor
    expected64: torch.Tensor | None
    rounding: torch.Tensor | None
    running: torch.Tensor | None
    kept: torch.Tensor
    mismatched: torch.Tensor
    lost: torch.Tensor
    alike: int
    unfit: int
    total: int
    longest: int
    longest_kept: int

    @staticmethod
    def of(pair: Pair, valid: torch.Tensor) -> Elements:
        """Return the elements of two tensors of one shape; complex numbers are pairs of elements."""
        actual, expected = _real(pair.actual), _real(pair.expected)
        if expected.dim() > valid.dim():
            valid = valid.unsqueeze(-1).expand(expected.shape)
        finite = actual.isfinite() & expected.isfinite()
        same = (actual == expected) | (actual.isnan() & expected.isnan())
        kept, mismatched = valid & finite, valid & ~finite & ~same
        return Elements(
            actual=_select(actual, kept),
            expected=_select(expected, kept),
            expected64=_finite_at(pair.expected64, kept),
            rounding=_finite_at(pair.rounding, kept),
            running=_finite_at(pair.running, kept),
            kept=kept,
            mismatched=mismatched,
            lost=_lost(expected, pair.expected64, mismatched),
            alike=int((valid & ~finite & same).sum()),
            unfit=int((valid & ~expected.isfinite()).sum()),
            total=int(valid.sum()),
            longest=pair.longest,
            longest_kept=pair.longest_kept,
        )

    @property
    def are_identical(self) -> bool:
        """Whether both sides are equal to the last bit."""
        return not bool(self.mismatched.any()) and torch.equal(self.actual, self.expected)

    def place(self, number: int) -> tuple[int, ...]:
        """Return the index in the output of the vectors' element ``number``."""
        flat = self.kept.flatten().nonzero()[number, 0]
        return tuple(int(index) for index in torch.unravel_index(flat, self.kept.shape))


def _lost(expected: torch.Tensor, exact: torch.Tensor | None, mismatched: torch.Tensor) -> torch.Tensor:
    if exact is None or not bool(mismatched.any()):
        return torch.zeros_like(mismatched)
    return mismatched & ~expected.isfinite() & _real(exact).isfinite()


def _real(tensor: torch.Tensor) -> torch.Tensor:
    values = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    values = values.to(torch.float64)
    return values.masked_fill(values > INFINITE, torch.inf).masked_fill(values < -INFINITE, -torch.inf)


def _select(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The vector of kept values; without a copy where all are, as selecting costs more than any measure."""
    return values.flatten() if bool(kept.all()) else values[kept]


def _finite_at(tensor: torch.Tensor | None, kept: torch.Tensor) -> torch.Tensor | None:
    """None where it can't be a measure of rounding: absent, or not finite where the fp32 output is."""
    if tensor is None:
        return None
    values = _select(_real(tensor), kept)
    return values if bool(values.isfinite().all()) else None
