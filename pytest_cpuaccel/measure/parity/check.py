"""A check: one measured number of an output against the one allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import (
    BARS,
    BY_LENGTH,
    FEW_SUMS,
    INT8_COSINE,
    INT8_SQNR_DB,
    OTHER_ORDER,
    REDUCED,
    TELLING_ELEMENTS,
    UNIT_ROUNDOFF,
    Bar,
    luck,
    widened,
)
from pytest_cpuaccel.measure.parity.elements import Elements


@dataclass(frozen=True)
class Check:
    """``statement`` goes on from the output's name and holds both numbers; ``figure`` is its short form.

    INCONCLUSIVE is the ``outcome`` where eager's own error is too large to judge by.

    ``use`` is the share of what is allowed that was used: above 1 where not passed. ``limit`` is the
    difference, for each element or for all, above which one counts as off.
    """

    outcome: Outcome
    use: float
    statement: str
    figure: str
    limit: torch.Tensor | float = 0.0
    facts: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """In how many of how many positions the argmax over the last dimension agrees."""

    hits: int
    positions: int

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.positions + other.positions)

    @property
    def value(self) -> float:
        """Return the share, 0 to 1; 1 of no position."""
        return self.hits / self.positions if self.positions else 1.0


def checks(elements: Elements, tolerance: Tolerance, precision: Precision) -> Iterator[Check]:
    """Yield the checks of one output: those that ``tolerance`` sets, but for ``top1``, or the precision's defaults."""
    if tolerance == Tolerance():
        yield from _default_checks(elements, precision)
        return
    if tolerance.rtol is not None or tolerance.atol is not None:
        yield _closeness(elements, tolerance.rtol or 0.0, tolerance.atol or 0.0)
    if tolerance.sqnr_db is not None:
        yield _sqnr(elements, tolerance.sqnr_db)
    if tolerance.cosine is not None:
        yield _cosine(elements, tolerance.cosine)


def _default_checks(elements: Elements, precision: Precision) -> Iterator[Check]:
    if precision is Precision.INT8:
        unfit = _unfit(elements, precision, BARS[Precision.FP32])
        yield from [unfit] if unfit else (_sqnr(elements, INT8_SQNR_DB), _cosine(elements, INT8_COSINE))
        return
    bar = BARS[precision]
    exact, rounding = elements.expected64, elements.rounding
    if precision is Precision.FP32:
        rounding = elements.expected
    elif exact is None and precision in REDUCED:
        exact = elements.expected  # fp32 is exact enough to measure bf16 by
    if exact is None or rounding is None:
        scale = error.rms(elements.expected) or 1.0
        by_loop = 0.0 if elements.running is None else error.relative_max(elements.running, elements.expected)
        yield _closeness(elements, bar.rtol, scale * max(bar.scaled_atol, OTHER_ORDER * by_loop))
        return
    yield _unfit(replace(elements, expected64=exact, rounding=rounding), precision, bar) or _rounding_check(
        elements, exact, rounding, bar, precision
    )


@dataclass(frozen=True)
class _Measure:
    """One measure of error: of the answer (``value``), of eager's rounding (``own``), of running sums (``loop``)."""

    kind: str
    value: float
    own: float
    loop: float

    def allowed(self, bar: Bar, elements: Elements) -> float:
        """Return what an output of these elements may be off by."""
        count = len(elements.actual)
        few = min(widened(bar.k, count) * self.own, bar.few_elements)
        return min(max(bar.k * self.own, few, bar.floor, self._of_long_sums(count, elements)), bar.ceiling)

    def _of_long_sums(self, count: int, elements: Elements) -> float:
        """By what running sums are off, and by the length of those that were not computed."""
        longest, longest_kept = elements.longest, elements.longest_kept
        few = FEW_SUMS * math.sqrt(longest) * UNIT_ROUNDOFF
        by_loop = max(OTHER_ORDER * self.loop, min(OTHER_ORDER * luck(count) * self.loop, few))
        return max(by_loop, BY_LENGTH * math.sqrt(longest_kept) * UNIT_ROUNDOFF)


def _measures(elements: Elements, exact: torch.Tensor, rounding: torch.Tensor) -> tuple[_Measure, _Measure]:
    sides = [elements.actual, rounding, exact if elements.running is None else elements.running]
    return (
        _Measure("relative RMSE", *(error.relative_rmse(side, exact) for side in sides)),
        _Measure("relative maximum error", *(error.relative_max(side, exact) for side in sides)),
    )


def _unfit(elements: Elements, precision: Precision, bar: Bar) -> Check | None:
    """The check where eager's own rounding is too large for ``k`` times it to mean anything; else None.

    INCONCLUSIVE, but FAIL for one number throughout, which no rounding makes. What is off by more than ``k`` times as
    much as eager is wrong too. int8 is judged by eager's fp32, and so by what that itself is off.
    """
    exact = elements.expected64
    rounding = elements.expected if precision is Precision.INT8 else elements.rounding
    if exact is None or rounding is None or elements.are_identical:
        return None
    measures = _measures(elements, exact, rounding)
    worst = max(measures, key=lambda measure: max(measure.own, measure.loop))
    own = max(worst.own, worst.loop)
    if own <= bar.unfit or any(measure.value > bar.k * max(measure.own, measure.loop) for measure in measures):
        return None
    if all(measure.own <= bar.unfit and measure.value <= bar.k * measure.own for measure in measures):
        return None
    if _is_constant(elements.actual) and not _is_constant(elements.expected) and not _is_constant(rounding):
        return Check(
            outcome=Outcome.FAIL,
            use=math.inf,
            statement=f"is {float(elements.actual[0]):.9g} in all {len(rounding)} elements, where eager's differ",
            figure="one number throughout",
        )
    name = "fp32" if precision is Precision.INT8 else precision.value
    by = f"a sum over {elements.longest} elements in another order" if worst.loop > worst.own else "itself"
    return Check(
        outcome=Outcome.INCONCLUSIVE,
        use=worst.value / own,
        statement=(
            f"can't be judged: eager's own {name} is off its fp64 by a {worst.kind} of {own:.1e} ({by}), more than the "
            f"{bar.unfit:g} up to which it can judge; the backend is off by {worst.value:.1e}. "
            "rtol=, atol= or cosine= in the mark judge it by numbers of your own"
        ),
        figure=f"eager's {name} is off by {own:.1e}",
        facts={"relative_rmse": measures[0].value, "relative_max": measures[1].value, "eagers_own_error": own},
    )


def _is_constant(values: torch.Tensor) -> bool:
    return len(values) >= TELLING_ELEMENTS and bool(values.max() == values.min())


def _rounding_check(
    elements: Elements, exact: torch.Tensor, rounding: torch.Tensor, bar: Bar, precision: Precision
) -> Check:
    """Hold both the root mean square and the maximum of the error to those of eager's own rounding."""
    both = _measures(elements, exact, rounding)
    limits = [measure.allowed(bar, elements) for measure in both]
    worst, allowed = max(zip(both, limits, strict=True), key=lambda found: found[0].value / found[1])
    (rmse, largest), own = (measure.value for measure in both), worst.own
    facts: dict[str, Scalar] = {
        "relative_rmse": rmse,
        "relative_max": largest,
        "allowed_relative_rmse": limits[0],
        "allowed_relative_max": limits[1],
    }
    times = allowed_times = below = ""
    if own > 0:
        facts |= {"rounding_ratio": worst.value / own, "allowed_rounding_ratio": allowed / own}
        below = times = f" ({_times(worst.value / own)} {precision.value} rounding)"
        allowed_times = f" ({allowed / own:,.0f}x)"
    elif rmse > 0:
        below = f" (floor {bar.floor:.0e})"
    summed = ""
    if elements.longest:
        facts["longest_sum"] = elements.longest
        summed = f" by a sum over {elements.longest} elements"
    scale = error.rms(exact) or 1.0
    peak = float(exact.abs().max()) or 1.0
    return Check(
        outcome=_passes_if(all(measure.value <= limit for measure, limit in zip(both, limits, strict=True))),
        use=worst.value / allowed,
        statement=f"is off by a {worst.kind} of {worst.value:.1e}{times}, allowed {allowed:.1e}{allowed_times}{summed}",
        figure=f"{rmse:.1e}{below}" if rmse > 0 else "exact",
        limit=min(limits[0] * scale, limits[1] * peak),
        facts=facts,
    )


def _closeness(elements: Elements, rtol: float, atol: float) -> Check:
    """``|actual - expected| <= atol + rtol * |expected|`` everywhere, as ``torch.testing.assert_close``."""
    difference = (elements.actual - elements.expected).abs()
    limit = atol + rtol * elements.expected.abs()
    use = error.used(difference, limit)
    worst = int(use.argmax())
    return Check(
        outcome=_passes_if(bool((difference <= limit).all())),
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
        outcome=_passes_if(measured >= least),
        use=10 ** ((least - measured) / 20),
        statement=f"has an SQNR of {measured:.1f} dB, at least {least:g} dB wanted",
        figure=f"{measured:.0f} dB" if math.isfinite(measured) else "exact",
        limit=10 ** (-least / 20) * (error.rms(elements.expected) or 1.0),
        facts={"min_sqnr_db": least},
    )


def _cosine(elements: Elements, least: float) -> Check:
    measured = error.cosine(elements.actual, elements.expected)
    return Check(
        outcome=_passes_if(measured >= least),
        use=(1 - measured) / max(1 - least, 1e-12),
        statement=f"has a cosine similarity of {measured:.6f}, at least {least:g} wanted",
        figure=f"cosine {measured:.4f}",
        facts={"min_cosine": least},
    )


def top1_check(own: Share, pooled: Share, least: float) -> Check:
    """Hold the top-1 answers of all calls of a test, ``pooled``, to a least share; a call without a miss passes."""
    of_calls = " over all calls of the test" if pooled != own else ""
    return Check(
        outcome=_passes_if(pooled.value >= least or own.hits == own.positions),
        use=(1 - pooled.value) / max(1 - least, 1e-12),
        statement=(
            f"agrees in {pooled.value:.2%} of its top-1 answers ({pooled.hits} of {pooled.positions} "
            f"positions{of_calls}), at least {least:.2%} wanted"
        ),
        figure=f"top-1 {pooled.value:.1%}",
        facts={"min_top1": least, "top1_hits": pooled.hits, "top1_positions": pooled.positions},
    )


def _passes_if(holds: bool) -> Outcome:
    return Outcome.PASS if holds else Outcome.FAIL


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:,.0f}x"
