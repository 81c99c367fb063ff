"""Outputs of integers and bools, which are equal to eager's or not."""

from __future__ import annotations

import torch

from pytest_cpuaccel.core.measurement.parity import ExactFigures, FirstDifference
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.selection import tie_of


def exact_figures(pair: OutputPair, valid: torch.Tensor, precision: Precision) -> ExactFigures:
    """Return in how many valid elements a pair differs, and what explains it."""
    actual, expected = pair.actual.to(pair.expected.dtype), pair.expected
    differs = (actual != expected) & valid
    wrong, compared = int(differs.sum()), int(valid.sum())
    dtypes = str(pair.actual.dtype), str(expected.dtype)
    if not wrong:
        return ExactFigures(compared, 0, *dtypes)
    place = tuple(differs.nonzero()[0].tolist())
    return ExactFigures(
        compared,
        wrong,
        *dtypes,
        first=FirstDifference(place, pair.actual[place].item(), expected[place].item()),
        unstable=_unstable(pair, valid),
        is_constant_alone=_is_constant_alone(pair, valid),
        tie=tie_of(torch.where(differs, actual, expected), expected, pair.chosen, precision),
    )


def _unstable(pair: OutputPair, valid: torch.Tensor) -> int:
    """Elements that come out otherwise when eager itself rounds otherwise."""
    if pair.expected64 is None:
        return 0
    return int(((pair.expected64 != pair.expected) & valid).sum())


def _is_constant_alone(pair: OutputPair, valid: torch.Tensor) -> bool:
    actual, expected = pair.actual[valid], pair.expected[valid]
    return bool((actual == actual[0]).all()) and not bool((expected == expected[0]).all())
