"""Evidence: the lines below a failing sentence that show where and by how much an output is off."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.pieces import Pieces


def differences(
    name: str, elements: Elements, limit: float, tolerance: tuple[float, float] | None = None
) -> tuple[str, ...]:
    """Return how many finite elements differ by more than is allowed, the worst, and what would pass.

    Allowed is ``limit``, or by element what ``tolerance``, rtol and atol, allows, ``limit`` at most.
    """
    return tuple(_differences(name, elements, limit, tolerance))


def nonfinite(pair: Pair, valid: torch.Tensor) -> str:
    """Return the counts of NaN and Inf on both sides."""
    nan, inf = np.zeros(2, int), np.zeros(2, int)
    for piece in Pieces((pair.actual, pair.expected), valid):
        sides = [side for side in piece.vectors if side is not None]
        nan += [int(side.isnan().sum()) for side in sides]
        inf += [int(side.isinf().sum()) for side in sides]
    return f"{pair.name}: NaN {nan[0]} actual, {nan[1]} expected; Inf {inf[0]} actual, {inf[1]} expected"


def round_up(value: float) -> float:
    """Return a tolerance rounded up to three digits, so that it passes as it is printed."""
    if value == 0 or not math.isfinite(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    rounded = float(f"{math.ceil(value / unit) * unit:.3g}")
    return rounded if rounded >= value else float(f"{rounded + unit:.3g}")


def share(count: int, total: int) -> str:
    """Return ``12 of 30 elements (40 %)``."""
    return f"{count} of {total} elements ({100 * count / total:.3g} %)"


def number(value: float) -> str:
    """Return a value in enough digits to tell two fp32 numbers apart."""
    return f"{value:.9g}"


def _differences(name: str, elements: Elements, limit: float, tolerance: tuple[float, float] | None) -> Iterator[str]:
    if not elements.count:
        return
    rtol, atol = tolerance or (0.0, limit)
    place = elements.worst(*(tolerance or (0.0, 1.0))).place
    by = f" by more than {'up to ' if tolerance else ''}{limit:.1e}" if limit else ""
    largest, relative = elements.difference.largest, elements.largest_relative
    yield f"{name}: {share(elements.beyond(rtol, atol), elements.count)} differ{by}"
    yield (
        f"  worst at {list(elements.index(place))}: actual {number(elements.at('actual', place))}, "
        f"expected {number(elements.at('expected', place))}"
    )
    yield f"  max abs difference {largest:.2e}, max relative {_relative(round_up(relative))}"
    yield f"  smallest tolerance that would pass: atol={round_up(largest):g} with rtol=0{_or_rtol(round_up(relative))}"


def _relative(rtol: float) -> str:
    return f"{rtol:.2e}" if math.isfinite(rtol) else "infinite (expected is 0 there)"


def _or_rtol(rtol: float) -> str:
    return f", or rtol={rtol:g} with atol=0" if math.isfinite(rtol) else "; no rtol alone"
