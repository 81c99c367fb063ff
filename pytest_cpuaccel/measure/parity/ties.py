"""Ties: where an answer hangs on which of several equal scores were chosen.

Whoever chooses among equal scores is free, and what is looked up by the choice is as free. That is shown by eager
itself, which is run with other choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_cpuaccel.measure.parity.defaults import SELF_AGREEMENT
from pytest_cpuaccel.measure.parity.leaves import OutputPair, pair_leaves
from pytest_cpuaccel.measure.parity.selection import OF_ONE, OF_SEVERAL, dimension_of

_ORDERS = 8
"""Orders of the scores that eager chooses from: of three equal ones, each has another in its place with 0.9998."""

_FEW_ORDERS = 4
"""Orders in which another choice is sought, and runs after which one that changed no answer is taken to change none."""


@dataclass(frozen=True)
class Ties:
    """``hanging`` are, by output, the elements that other choices change, ``operators`` those that choose."""

    hanging: Mapping[str, torch.Tensor]
    operators: tuple[str, ...]


def ties_of(run: Callable[[], Any], expected: Any) -> Ties | None:
    """Return where ``expected``, which ``run`` returns, hangs on choices between equal scores; None where nowhere."""
    hanging: dict[str, torch.Tensor] = {}
    operators: dict[str, None] = {}
    for number in range(_ORDERS):
        choosing = _Choosing(number)
        try:
            with choosing:
                answer = run()
        except Exception:  # a model that no dispatch mode can follow
            return None
        operators |= dict.fromkeys(choosing.tied)
        for pair in pair_leaves(answer, expected).pairs:
            changed = _changed(pair)
            if changed is not None:
                hanging[pair.name] = changed | hanging.get(pair.name, changed)
        if not operators or (not hanging and number + 1 == _FEW_ORDERS):
            return None
    return Ties({name: _by_row(mask) for name, mask in hanging.items()}, tuple(operators))


def _changed(pair: OutputPair) -> torch.Tensor | None:
    """The mask of the elements that differ by more than rounding explains; None where none does."""
    one, other = pair.expected, pair.actual
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor) or one.is_nested or other.is_nested:
        return None
    if one.shape != other.shape:
        return torch.ones(one.shape, dtype=torch.bool)
    differs = (one != other) & ~((one != one) & (other != other))
    if one.is_floating_point() or one.is_complex():
        finite = one.isfinite() & other.isfinite()
        scale = one[one.isfinite()].abs().max() if bool(one.isfinite().any()) else 0.0
        differs &= ~(finite & ((one - other).abs() <= SELF_AGREEMENT * scale))
    return differs if bool(differs.any()) else None


def _by_row(mask: torch.Tensor) -> torch.Tensor:
    return mask.any(-1, keepdim=True).expand(mask.shape) if mask.dim() > 1 else mask


class _Choosing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Chooses, while entered, as if scores stood in another order, which ``number`` picks; order 0 is the reverse."""

    def __init__(self, number: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tied: dict[str, None] = {}
        self._number = number

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        answer = func(*args, **given)
        is_of_one = func in OF_ONE
        if not is_of_one and func not in OF_SEVERAL:
            return answer
        if not args[0].dim() or given.get("stable"):  # which promises an order
            return answer
        for number in range(self._number, self._number + _FEW_ORDERS):
            other = _choice(func, args, given, number)
            if not torch.equal(other, answer if is_of_one else answer[1]):
                self.tied[func.overloadpacket.__name__] = None
                return other if is_of_one else type(answer)((answer[0], other))
        return answer


def _choice(func: Any, args: Any, given: Mapping[str, Any], number: int) -> torch.Tensor:
    """The indices that an operator chooses where the scores stand in another order."""
    scores, dim = args[0], dimension_of(func, args, given)
    order = _order(scores.numel() if dim is None else scores.shape[dim], number)
    moved = scores.flatten()[order].reshape(scores.shape) if dim is None else scores.index_select(dim, order)
    found = func(moved, *args[1:], **given)
    indices: torch.Tensor = order[found if func in OF_ONE else found[1]]
    return indices


def _order(count: int, number: int) -> torch.Tensor:
    if not number:
        return torch.arange(count - 1, -1, -1)
    return torch.randperm(count, generator=torch.Generator().manual_seed(number))
