"""A check: one measured number of an output against the one allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import BARS, INT8_COSINE, INT8_SQNR_DB, REDUCED, Bar, widened
from pytest_cpuaccel.measure.parity.elements import Elements


@dataclass(frozen=True)
class Check:
    """``statement`` goes on from the output's name and holds both numbers; ``figure`` is its short form.

    ``use`` is the share of what is allowed that was used: above 1 where not passed. ``limit`` is the
    difference, for each element or for all, above which one counts as off.
    """

    passed: bool
    use: float
    statement: str
    figure: str
    limit: torch.Tensor | float = 0.0
    facts: Mapping[str, Scalar] = field(default_factory=dict)


def checks(elements: Elements, top1: float | None, tolerance: Tolerance, precision: Precision) -> Iterator[Check]:
    """Yield the checks of one output: those that ``tolerance`` sets, or the default ones of the precision.

    ``top1`` is the share of positions whose argmax agrees; None where the output has no argmax.
    """
    if tolerance == Tolerance():
        yield from _default_checks(elements, precision)
        return
    if tolerance.rtol is not None or tolerance.atol is not None:
        yield _closeness(elements, tolerance.rtol or 0.0, tolerance.atol or 0.0)
    if tolerance.sqnr_db is not None:
        yield _sqnr(elements, tolerance.sqnr_db)
    if tolerance.cosine is not None:
        yield _cosine(elements, tolerance.cosine)
    if tolerance.top1 is not None and top1 is not None:
        yield _top1(top1, tolerance.top1)


def _default_checks(elements: Elements, precision: Precision) -> Iterator[Check]:
    if precision is Precision.INT8:
        yield _sqnr(elements, INT8_SQNR_DB)
        yield _cosine(elements, INT8_COSINE)
        return
    bar = BARS[precision]
    exact, rounding = elements.expected64, elements.rounding
    if precision is Precision.FP32:
        rounding = elements.expected
    elif exact is None and precision in REDUCED:
        exact = elements.expected  # fp32 is exact enough to measure bf16 by
    if exact is None or rounding is None:
        yield _closeness(elements, bar.rtol, bar.scaled_atol * (error.rms(elements.expected) or 1.0))
        return
    yield _rounding_check(elements, exact, rounding, bar, precision)


def _rounding_check(
    elements: Elements, exact: torch.Tensor, rounding: torch.Tensor, bar: Bar, precision: Precision
) -> Check:
    """Hold both the root mean square and the maximum of the error to those of eager's own rounding."""
    rmse, eager_rmse = error.relative_rmse(elements.actual, exact), error.relative_rmse(rounding, exact)
    largest, eager_largest = error.relative_max(elements.actual, exact), error.relative_max(rounding, exact)
    allowed_rmse = _allowed(eager_rmse, bar, len(exact))
    allowed_largest = _allowed(eager_largest, bar, len(exact))
    kind, value, allowed, own = max(
        ("relative RMSE", rmse, allowed_rmse, eager_rmse),
        ("relative maximum error", largest, allowed_largest, eager_largest),
        key=lambda measure: measure[1] / measure[2],
    )
    facts: dict[str, Scalar] = {
        "relative_rmse": rmse,
        "relative_max": largest,
        "allowed_relative_rmse": allowed_rmse,
        "allowed_relative_max": allowed_largest,
    }
    times = allowed_times = below = ""
    if own > 0:
        facts |= {"rounding_ratio": value / own, "allowed_rounding_ratio": allowed / own}
        below = times = f" ({_times(value / own)} {precision.value} rounding)"
        allowed_times = f" ({allowed / own:,.0f}x)"
    elif rmse > 0:
        below = f" (floor {bar.floor:.0e})"
    scale = error.rms(exact) or 1.0
    peak = float(exact.abs().max()) or 1.0
    return Check(
        passed=rmse <= allowed_rmse and largest <= allowed_largest,
        use=value / allowed,
        statement=f"is off by a {kind} of {value:.1e}{times}, allowed {allowed:.1e}{allowed_times}",
        figure=f"{rmse:.1e}{below}" if rmse > 0 else "exact",
        limit=min(allowed_rmse * scale, allowed_largest * peak),
        facts=facts,
    )


def _allowed(own: float, bar: Bar, elements: int) -> float:
    few = min(widened(bar.k, elements) * own, bar.few_elements)
    return min(max(bar.k * own, few, bar.floor), bar.ceiling)


def _closeness(elements: Elements, rtol: float, atol: float) -> Check:
    """``|actual - expected| <= atol + rtol * |expected|`` everywhere, as ``torch.testing.assert_close``."""
    difference = (elements.actual - elements.expected).abs()
    limit = atol + rtol * elements.expected.abs()
    use = error.used(difference, limit)
    worst = int(use.argmax())
    return Check(
        passed=bool((difference <= limit).all()),
        use=float(use[worst]),
        statement=(
            f"differs by {difference[worst]:.1e} at {list(elements.place(worst))}, "
            f"allowed {limit[worst]:.1e} (rtol={rtol:.2g}, atol={atol:.2g})"
        ),
        figure=f"max abs {difference.max():.1e}",
        limit=limit,
        facts={"rtol": rtol, "atol": atol},
    )


def _sqnr(elements: Elements, least: float) -> Check:
    measured = error.sqnr_db(elements.actual, elements.expected)
    return Check(
        passed=measured >= least,
        use=10 ** ((least - measured) / 20),
        statement=f"has an SQNR of {measured:.1f} dB, at least {least:g} dB wanted",
        figure=f"{measured:.0f} dB" if math.isfinite(measured) else "exact",
        limit=10 ** (-least / 20) * (error.rms(elements.expected) or 1.0),
        facts={"min_sqnr_db": least},
    )


def _cosine(elements: Elements, least: float) -> Check:
    measured = error.cosine(elements.actual, elements.expected)
    return Check(
        passed=measured >= least,
        use=(1 - measured) / max(1 - least, 1e-12),
        statement=f"has a cosine similarity of {measured:.6f}, at least {least:g} wanted",
        figure=f"cosine {measured:.4f}",
        facts={"min_cosine": least},
    )


def _top1(measured: float, least: float) -> Check:
    return Check(
        passed=measured >= least,
        use=(1 - measured) / max(1 - least, 1e-12),
        statement=f"agrees in {measured:.2%} of its top-1 answers, at least {least:.2%} wanted",
        figure=f"top-1 {measured:.1%}",
        facts={"min_top1": least},
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:,.0f}x"
