"""A check: one measured number of an output against the one allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
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
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.pieces import Pieces
from pytest_cpuaccel.measure.parity.size import Size
from pytest_cpuaccel.measure.parity.top1 import Share

_CLOSE = 1e-3
"""Share of a limit within which figures are found once more in fp64, whose sums fp32 gets to 1e-5."""


_STEPS = 4
"""Most different numbers of an output that a step function gives: three of ``sign``."""


@dataclass(frozen=True)
class Check:
    """``statement`` goes on from the output's name and holds both numbers; ``figure`` is its short form.

    INCONCLUSIVE is the ``outcome`` where eager's own error is too large to judge by.

    ``use`` is the share of what is allowed that was used: above 1 where not passed. ``limit`` is the
    difference above which an element counts as off; where that hangs on the element, by ``tolerance``, which is rtol
    and atol, it is that of the largest.
    """

    outcome: Outcome
    use: float
    statement: str
    figure: str
    limit: float = 0.0
    tolerance: tuple[float, float] | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def is_close(self) -> bool:
        """Tell whether sums that are a little less exact could have come out on the other side of the limit."""
        return self.tolerance is None and abs(self.use - 1) < _CLOSE


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


def limit_hint(
    pair: Pair, valid: torch.Tensor, tolerance: Tolerance, precision: Precision
) -> tuple[float, float] | None:
    """Return the rtol and about the atol that an output will be held to; None where to no such limit."""
    if tolerance.rtol is not None or tolerance.atol is not None:
        return tolerance.rtol or 0.0, tolerance.atol or 0.0
    if tolerance != Tolerance() or precision in REDUCED or pair.expected64 is not None:
        return None
    sample = Pieces((pair.expected,), valid)[0].vectors[0]
    scale = 0.0 if sample is None else float(sample.abs().double().square().mean().sqrt())
    return BARS[precision].rtol, (scale if math.isfinite(scale) else 1.0) * BARS[precision].scaled_atol


def _default_checks(elements: Elements, precision: Precision) -> Iterator[Check]:
    if precision is Precision.INT8:
        unfit = _unfit(elements, precision, BARS[Precision.FP32])
        yield from [unfit] if unfit else (_sqnr(elements, INT8_SQNR_DB), _cosine(elements, INT8_COSINE))
        return
    bar = BARS[precision]
    own = elements.off_by("expected" if precision is Precision.FP32 else "rounding")
    if own is None or not (elements.has_exact or precision in REDUCED):  # fp32 is exact enough to measure bf16 by
        scale = elements.expected.rms(elements.count) or 1.0
        loop = elements.off_by("running")
        by_loop = 0.0 if loop is None else loop.largest / (elements.reference.largest or 1.0)
        yield _closeness(elements, bar.rtol, scale * max(bar.scaled_atol, OTHER_ORDER * by_loop))
        return
    yield _unfit(elements, precision, bar) or _rounding_check(elements, bar, precision)


@dataclass(frozen=True)
class _Measure:
    """One measure of error: of the answer (``value``), of eager's rounding (``own``), of running sums (``loop``)."""

    kind: str
    value: float
    own: float
    loop: float

    def allowed(self, bar: Bar, elements: Elements) -> float:
        """Return what an output of these elements may be off by."""
        count = elements.count
        few = min(widened(bar.k, count) * self.own, bar.few_elements)
        return min(max(bar.k * self.own, few, bar.floor, self._of_long_sums(count, elements)), bar.ceiling)

    def _of_long_sums(self, count: int, elements: Elements) -> float:
        """By what running sums are off, and by the length of those that were not computed."""
        longest, longest_kept = elements.pair.longest, elements.pair.longest_kept
        few = FEW_SUMS * math.sqrt(longest) * UNIT_ROUNDOFF
        by_loop = max(OTHER_ORDER * self.loop, min(OTHER_ORDER * luck(count) * self.loop, few))
        return max(by_loop, BY_LENGTH * math.sqrt(longest_kept) * UNIT_ROUNDOFF)


def _measures(elements: Elements, precision: Precision) -> tuple[_Measure, _Measure]:
    """By both measures, what the answer, eager's rounding and its running sums are off the reference."""
    own = "expected" if precision in (Precision.FP32, Precision.INT8) else "rounding"
    sides = [elements.off[side] if elements.off_by(side) else Size() for side in ("actual", own, "running")]
    scale, peak = elements.reference.rms(elements.count) or 1.0, elements.reference.largest or 1.0
    return (
        _Measure("relative RMSE", *(side.rms(elements.count) / scale for side in sides)),
        _Measure("relative maximum error", *(side.largest / peak for side in sides)),
    )


def _unfit(elements: Elements, precision: Precision, bar: Bar) -> Check | None:
    """The check where eager's own rounding is too large for ``k`` times it to mean anything; else None.

    INCONCLUSIVE, but FAIL for one number throughout, which no rounding makes. What is off by more than ``k`` times as
    much as eager is wrong too. int8 is judged by eager's fp32, and so by what that itself is off.
    """
    if (precision is Precision.INT8 and not elements.has_exact) or elements.are_identical:
        return None
    measures = _measures(elements, precision)
    worst = max(measures, key=lambda measure: max(measure.own, measure.loop))
    own = max(worst.own, worst.loop)
    if own <= bar.unfit or any(measure.value > bar.k * max(measure.own, measure.loop) for measure in measures):
        return None
    if all(measure.own <= bar.unfit and measure.value <= bar.k * measure.own for measure in measures):
        return None
    alone = _constant_alone(elements, precision)
    if alone is not None:
        return Check(
            outcome=Outcome.FAIL,
            use=math.inf,
            statement=f"is {alone:.9g} in all {elements.count} elements, where eager's differ",
            figure="one number throughout",
        )
    name = "fp32" if precision is Precision.INT8 else precision.value
    by = f"a sum over {elements.pair.longest} elements in another order" if worst.loop > worst.own else "itself"
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


def _constant_alone(elements: Elements, precision: Precision) -> float | None:
    """The number that the answer is throughout, where eager's, in both precisions, is not one number.

    None where eager's is made of few numbers, this one among them: rounding decides between those, as under ``sign``.
    """
    if elements.count < TELLING_ELEMENTS:
        return None
    others = {"expected", "expected" if precision in (Precision.FP32, Precision.INT8) else "rounding"}
    if any(elements.constant(side) is not None for side in others):
        return None
    answer = elements.constant("actual")
    return None if answer is not None and _is_a_step(answer, elements.pair.expected) else answer


def _is_a_step(number: float, expected: torch.Tensor) -> bool:
    """Whether a number is one of the few that a tensor is made of."""
    values = torch.unique(expected) if expected.is_floating_point() else expected.new_empty(0)
    return len(values) <= _STEPS and bool((values == number).any())


def _rounding_check(elements: Elements, bar: Bar, precision: Precision) -> Check:
    """Hold both the root mean square and the maximum of the error to those of eager's own rounding."""
    both = _measures(elements, precision)
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
    if elements.pair.longest:
        facts["longest_sum"] = elements.pair.longest
        summed = f" by a sum over {elements.pair.longest} elements"
    scale, peak = elements.reference.rms(elements.count) or 1.0, elements.reference.largest or 1.0
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
    worst = elements.worst(rtol, atol)
    return Check(
        outcome=_passes_if(not worst.exceeded),
        use=worst.use,
        statement=(
            f"differs by {worst.difference:.1e} at {list(elements.index(worst.place))}, "
            f"allowed {worst.limit:.1e} (rtol={rtol:.2g}, atol={atol:.2g})"
        ),
        figure=f"max abs {elements.difference.largest:.1e}",
        limit=atol + rtol * elements.expected.largest,
        tolerance=(rtol, atol),
        facts={"rtol": rtol, "atol": atol},
    )


def _sqnr(elements: Elements, least: float) -> Check:
    measured = elements.sqnr_db
    return Check(
        outcome=_passes_if(measured >= least),
        use=10 ** ((least - measured) / 20),
        statement=f"has an SQNR of {measured:.1f} dB, at least {least:g} dB wanted",
        figure=f"{measured:.0f} dB" if math.isfinite(measured) else "exact",
        limit=10 ** (-least / 20) * (elements.expected.rms(elements.count) or 1.0),
        facts={"min_sqnr_db": least},
    )


def _cosine(elements: Elements, least: float) -> Check:
    measured = elements.cosine
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
