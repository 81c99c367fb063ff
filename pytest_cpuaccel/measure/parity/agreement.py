"""Self-agreement: whether eager gives the same answer twice; otherwise it can't be a reference."""

from __future__ import annotations

from typing import Any

import torch

from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import SELF_AGREEMENT
from pytest_cpuaccel.measure.parity.leaves import OutputPair, pair_leaves, select

IS_IT_RANDOM = "is dropout on (model.eval() turns it off), or does a layer draw random numbers?"
"""What a sentence of outputs that differ ends with."""

ON_THE_SAME = "between two runs on the same inputs"
"""What it says of where they come from."""


def self_agreement(first: Any, second: Any, only: tuple[str, ...] = ()) -> str | None:
    """Return None if two runs of eager on the same inputs agree, else the sentence that says how not.

    ``only`` are the patterns of the outputs that are looked at, as in the budget; none: all.
    """
    pairing = pair_leaves(second, first)
    if only:
        pairing = select(pairing, only)
    differing = [*pairing.missing, *pairing.extra]
    if differing:
        return f"eager disagrees with itself: '{differing[0]}' came out of one of two runs on the same inputs"
    for pair in pairing.pairs:
        if isinstance(pair.expected, torch.Tensor) and (by := _disagreement(pair)):
            where = f"{by} in '{pair.name}', {ON_THE_SAME}"
            return f"eager disagrees with itself {where}: {IS_IT_RANDOM}"
    return None


def _disagreement(pair: OutputPair) -> str | None:
    first, second = pair.expected, pair.actual
    if not isinstance(second, torch.Tensor) or first.shape != second.shape:
        return "in shape"
    if torch.equal(first, second):
        return None
    if not first.is_floating_point():
        return f"at {int((first != second).sum())} of {first.numel()} elements"
    finite = first.isfinite() & second.isfinite()
    same = (first == second) | (first.isnan() & second.isnan())
    if not bool((finite | same).all()):
        return "in what is NaN or infinite"
    if not bool(finite.any()):
        return None
    off = error.relative_max(second[finite].double(), first[finite].double())
    return f"by {off:.1e} of the largest value (allowed {SELF_AGREEMENT:.0e})" if off > SELF_AGREEMENT else None
