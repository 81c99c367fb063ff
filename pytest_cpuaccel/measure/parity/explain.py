"""Evidence: the lines below a failing sentence that show where and by how much an output is off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import Pair


def differences(name: str, elements: Elements, limit: torch.Tensor | float) -> tuple[str, ...]:
    """Return how many finite elements differ by more than ``limit``, the worst, and what would pass."""
    return tuple(_differences(name, elements, limit))


def nonfinite(pair: Pair, valid: torch.Tensor) -> str:
    """Return the counts of NaN and Inf on both sides."""
    actual, expected = pair.actual[valid], pair.expected[valid]
    return (
        f"{pair.name}: NaN {int(actual.isnan().sum())} actual, {int(expected.isnan().sum())} expected; "
        f"Inf {int(actual.isinf().sum())} actual, {int(expected.isinf().sum())} expected"
    )


def smallest_tolerance(elements: Elements) -> tuple[float, float]:
    """Return the smallest atol that would pass with rtol=0, and the smallest rtol with atol=0 (may be inf).

    Both are rounded up to three digits, so that they pass as they are printed.
    """
    difference = (elements.actual - elements.expected).abs()
    relative = error.used(difference, elements.expected.abs())
    return _round_up(float(difference.max())), _round_up(float(relative.max()))


def share(count: int, total: int) -> str:
    """Return ``12 of 30 elements (40 %)``."""
    return f"{count} of {total} elements ({100 * count / total:.3g} %)"


def number(value: float) -> str:
    """Return a value in enough digits to tell two fp32 numbers apart."""
    return f"{value:.9g}"


def describe(value: Any) -> str:
    """Return what an output is, in a few words."""
    if value is None or isinstance(value, (str, bytes)):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _differences(name: str, elements: Elements, limit: torch.Tensor | float) -> Iterator[str]:
    if not len(elements.expected):
        return
    difference = (elements.actual - elements.expected).abs()
    off = int((difference > limit).sum())
    largest = float(limit.max()) if isinstance(limit, torch.Tensor) else limit
    by = f" by more than {'up to ' if isinstance(limit, torch.Tensor) else ''}{largest:.1e}" if largest else ""
    worst = int((error.used(difference, limit) if isinstance(limit, torch.Tensor) else difference).argmax())
    atol, rtol = smallest_tolerance(elements)
    yield f"{name}: {share(off, len(difference))} differ{by}"
    yield (
        f"  worst at {list(elements.place(worst))}: actual {number(float(elements.actual[worst]))}, "
        f"expected {number(float(elements.expected[worst]))}"
    )
    yield f"  max abs difference {float(difference.max()):.2e}, max relative {_relative(rtol)}"
    yield f"  smallest tolerance that would pass: atol={atol:g} with rtol=0{_or_rtol(rtol)}"


def _relative(rtol: float) -> str:
    return f"{rtol:.2e}" if math.isfinite(rtol) else "infinite (expected is 0 there)"


def _or_rtol(rtol: float) -> str:
    return f", or rtol={rtol:g} with atol=0" if math.isfinite(rtol) else "; no rtol alone"


def _round_up(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    rounded = float(f"{math.ceil(value / unit) * unit:.3g}")
    return rounded if rounded >= value else float(f"{rounded + unit:.3g}")
