"""Evidence: the lines below a failing sentence that show where and by how much an output is off."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_cpuaccel.core.measurement.parity import FloatFigures, Nonfinite
from pytest_cpuaccel.core.parity_questions import ElementLimit


def differences(name: str, figures: FloatFigures, limit: float, tolerance: ElementLimit | None = None) -> Iterator[str]:
    """Yield how many finite elements differ by more than is allowed, the worst, and what would pass.

    Allowed is ``limit``, or by element what ``tolerance``, rtol and atol, allows, ``limit`` at most.
    """
    excess, relative = figures.excess, figures.largest_relative
    if excess is None or relative is None:
        return
    by = f" by more than {'up to ' if tolerance else ''}{limit:.1e}" if limit else ""
    largest = figures.difference.largest
    yield f"{name}: {share(excess.count, figures.count)} differ{by}"
    yield (f"  worst at {list(excess.index)}: actual {number(excess.actual)}, expected {number(excess.expected)}")
    yield f"  max abs difference {largest:.2e}, max relative {_relative(round_up(relative))}"
    yield f"  smallest tolerance that would pass: atol={round_up(largest):g} with rtol=0{_or_rtol(round_up(relative))}"


def nonfinite(name: str, counts: Nonfinite) -> str:
    """Return the counts of NaN and Inf on both sides."""
    return (
        f"{name}: NaN {counts.actual_nan} actual, {counts.expected_nan} expected; "
        f"Inf {counts.actual_inf} actual, {counts.expected_inf} expected"
    )


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


def _relative(rtol: float) -> str:
    return f"{rtol:.2e}" if math.isfinite(rtol) else "infinite (expected is 0 there)"


def _or_rtol(rtol: float) -> str:
    return f", or rtol={rtol:g} with atol=0" if math.isfinite(rtol) else "; no rtol alone"
