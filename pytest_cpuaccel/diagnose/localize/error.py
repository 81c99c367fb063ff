"""The error of one module's output or input, by the worst of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS

LIMIT = BARS[Precision.FP32].k
"""How many times eager's own rounding the error of a right answer may be: a module's as a model's."""

LEAST_ROUNDING = 2.0**-24

_HUGE = 1e30
"""From here on a number stands for infinity, as in a mask that is added to scores."""


@dataclass(frozen=True)
class TensorError:
    """``error`` and ``rounding`` are relative in the 2-norm, of the backend and of eager in fp32."""

    error: float
    rounding: float
    actual: torch.Tensor
    exact: torch.Tensor

    @property
    def ratio(self) -> float:
        """Return how many times eager's rounding the error is."""
        return self.error / max(self.rounding, LEAST_ROUNDING)

    def worst(self) -> tuple[float, float]:
        """Return the backend's and the exact value of the element that is off furthest."""
        actual, exact = self.actual.double().reshape(-1), self.exact.double().reshape(-1)
        place = int((actual - exact).abs().nan_to_num(inf, inf).argmax())
        return float(actual[place]), float(exact[place])


def floats_of(value: Any) -> dict[str, torch.Tensor]:
    """Return the floating-point tensors of a nested value, by name."""
    found = {}
    for name, leaf in tree.named_leaves(value):
        tensor = torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" else leaf
        if isinstance(tensor, torch.Tensor) and _is_plain(tensor):
            found[name] = tensor.detach()
    return found


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has floats, in rows and columns or in rows of several lengths."""
    has_rows = tensor.is_nested or tensor.layout is torch.strided
    return tensor.is_floating_point() and has_rows and bool(tensor.numel())


def worst_error(actual: Any, rounded: Any, exact: Any, mask: torch.Tensor | None) -> TensorError | None:
    """Return the error of the worst tensor; None where there is nothing that can be compared.

    Where some can't be, as attention weights of which eager's own are NaN at padding, another that is wrong tells all
    the same. Where the tensors have other names, those that both have are compared. ``mask`` (batch, length) leaves
    padded positions out: what a model computes there is nobody's answer.
    """
    sides = [floats_of(side) for side in (actual, rounded, exact)]
    shared = [name for name in sides[0] if name in sides[1] and name in sides[2]]
    if shared:
        sides = [{name: side[name] for name in shared} for side in sides]
    if len({len(side) for side in sides}) != 1:
        return None
    tensors = zip(*(side.values() for side in sides), strict=True)
    found = [_error(got, rough, right, mask) for got, rough, right in tensors]
    known = [item for item in found if item is not None]
    worst = max(known, key=lambda item: item.ratio, default=None)
    if len(known) == len(found) or (shared and worst is not None and worst.ratio > LIMIT):
        return worst
    return None


def _error(
    actual: torch.Tensor, rounded: torch.Tensor, exact: torch.Tensor, mask: torch.Tensor | None
) -> TensorError | None:
    if exact.is_nested:
        rows = exact.unbind()
        got, rough, right = (_in_rows(side, rows) for side in (actual, rounded, exact))
        return None if got is None or rough is None or right is None else _error(got, rough, right, None)
    if actual.is_nested or rounded.is_nested or not actual.shape == rounded.shape == exact.shape:
        return None
    if mask is not None and exact.shape[:2] == mask.shape:
        actual, rounded, exact = actual[mask], rounded[mask], exact[mask]
    if not exact.numel():
        return None
    rounding = relative(rounded, exact)
    return TensorError(relative(actual, exact), rounding, actual, exact) if isfinite(rounding) else None


def _in_rows(tensor: torch.Tensor, rows: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """The elements of these rows of a nested tensor, or of one that is padded; None where it has others."""
    own = tensor.unbind()
    if len(own) != len(rows) or any(one.dim() != row.dim() for one, row in zip(own, rows, strict=True)):
        return None
    cut = [one[tuple(map(slice, row.shape))] for one, row in zip(own, rows, strict=True)]
    if any(one.shape != row.shape for one, row in zip(cut, rows, strict=True)):
        return None
    return torch.cat([one.reshape(-1) for one in cut])


def relative(actual: torch.Tensor, exact: torch.Tensor) -> float:
    """Return ``|actual - exact| / |exact|`` in the 2-norm; infinity where only one of them is not finite."""
    actual, exact = actual.double(), exact.double()
    big, huge = (~(side.abs() < _HUGE) for side in (actual, exact))
    if not torch.equal(big, huge):
        return inf
    if bool(huge.any()):
        actual, exact = actual[~huge], exact[~huge]
    off = float((actual - exact).norm())
    return off / max(float(exact.norm()), 1e-300) if off else 0.0
