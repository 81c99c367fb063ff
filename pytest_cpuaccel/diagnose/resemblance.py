"""Resemblance: whether an answer is wrong in the very way in which a coarser precision is."""

from __future__ import annotations

from typing import Any

import torch

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.leaves import float_pairs, pair_leaves
from pytest_cpuaccel.measure.parity.mask import mask_for, valid_elements
from pytest_cpuaccel.measure.parity.references import References

NEARER = 0.8
"""Share of a coarser precision's own error within which an answer is taken to come from that precision. An error of
the same size that has nothing to do with it lies at 1.4, a right answer at 1."""


def resembles(actual: Any, references: References, inputs: Inputs) -> bool:
    """Tell whether an answer lies much nearer to ``references.rounding`` than that lies to fp32 eager.

    Weights are rounded alike whoever rounds them, so two bf16 models err in much the same direction.
    """
    if references.rounding is None:
        return False
    pairs = [*float_pairs(pair_leaves(actual, references.expected, None, references.rounding))]
    names = [pair.name for pair in pairs]
    off, own = [], []
    for pair in pairs:
        if pair.actual.shape != pair.expected.shape or pair.rounding is None:
            return False
        valid = valid_elements(pair.name, pair.expected.shape, mask_for(pair.name, inputs, None, names))
        scale = error.rms(pair.expected[valid].double()) or 1.0
        off.append((pair.actual[valid].double() - pair.rounding[valid]) / scale)
        own.append((pair.expected[valid].double() - pair.rounding[valid]) / scale)
    return bool(pairs) and error.rms(torch.cat(off)) < NEARER * error.rms(torch.cat(own))
