"""A check: one measured number of an output against the one allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import Constants, FloatFigures, Share, Size
from pytest_cpuaccel.core.parity_questions import LikelyLimit, Limit
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import (
    BARS,
    INT8_COSINE,
    INT8_SQNR_DB,
    REDUCED,
    TELLING_ELEMENTS,
    UNIT_ROUNDOFF,
    Bar,
)
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.defaults import BY_LENGTH, FEW_SUMS, OTHER_ORDER, luck, widened

_CLOSE = 1e-3
"""Share of a limit within which figures are found once more in fp64, whose sums fp32 gets to 1e-5."""


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
    tolerance: Limit | None = None
    summary: OutputSummary = field(default_factory=OutputSummary)

    @property
    def is_close(self) -> bool:
        """Tell whether sums that are a little less exact could have come out on the other side of the limit."""
        return self.tolerance is None and abs(self.use - 1) < _CLOSE


def checks(figures: FloatFigures, tolerance: Tolerance, precision: Precision) -> Iterator[Check]:
    """Yield the checks of one output: those that ``tolerance`` sets, but for ``top1``, or the precision's defaults.

    ``figures`` hold the answers to :func:`worst_limit` and :func:`asks_for_constants`.
    """
    if tolerance == Tolerance():
        yield from _default_checks(figures, precision)
        return
    if figures.worst is not None:
        yield _closeness(figures)
    if tolerance.sqnr_db is not None:
        yield _sqnr(figures, tolerance.sqnr_db)
    if tolerance.cosine is not None:
        yield _cosine(figures, tolerance.cosine)


def likely_limit(tolerance: Tolerance, precision: Precision) -> LikelyLimit | None:
    """Return the limit that every element of an output will probably be held to; None for no such limit."""
    if tolerance.rtol is not None or tolerance.atol is not None:
        return LikelyLimit(tolerance.rtol or 0.0, tolerance.atol or 0.0)
    if tolerance != Tolerance() or precision in REDUCED:
        return None
    return LikelyLimit(BARS[precision].rtol, scaled_atol=BARS[precision].scaled_atol)


def worst_limit(figures: FloatFigures, tolerance: Tolerance, precision: Precision) -> Limit | None:
    """Return the rtol and atol that every element is held to; None where it is to none."""
    if tolerance.rtol is not None or tolerance.atol is not None:
        return tolerance.rtol or 0.0, tolerance.atol or 0.0
    if tolerance != Tolerance() or _is_judged_by_rounding(figures, precision):
        return None
    bar, loop = BARS[precision], figures.off.running
    scale = figures.expected.rms(figures.count) or 1.0
    by_loop = 0.0 if loop is None else loop.largest / (figures.reference.largest or 1.0)
    return bar.rtol, scale * max(bar.scaled_atol, OTHER_ORDER * by_loop)


def asks_for_constants(figures: FloatFigures, tolerance: Tolerance, precision: Precision) -> bool:
    """Tell whether it counts if a side is one number throughout."""
    if tolerance != Tolerance() or not _is_judged_by_rounding(figures, precision):
        return False
    return figures.count >= TELLING_ELEMENTS and _unfit(figures, precision) is not None


def _is_judged_by_rounding(figures: FloatFigures, precision: Precision) -> bool:
    """Whether eager's own rounding is known, or none is needed; fp32 is exact enough to measure bf16 by."""
    if precision is Precision.INT8:
        return True
    return _own(figures, precision) is not None and (figures.has_exact or precision in REDUCED)


def _own(figures: FloatFigures, precision: Precision) -> Size | None:
    """What eager itself is off, in the precision that the answer is judged by."""
    return figures.off.expected if precision in (Precision.FP32, Precision.INT8) else figures.off.rounding


def _default_checks(figures: FloatFigures, precision: Precision) -> Iterator[Check]:
    if not _is_judged_by_rounding(figures, precision):
        yield _closeness(figures)
        return
    unfit = _unfit(figures, precision)
    if unfit is not None:
        yield unfit
    elif precision is Precision.INT8:
        yield from (_sqnr(figures, INT8_SQNR_DB), _cosine(figures, INT8_COSINE))
    else:
        yield _rounding_check(figures, precision)


@dataclass(frozen=True)
class _Measure:
    """One measure of error: of the answer (``value``), of eager's rounding (``own``), of running sums (``loop``)."""

    kind: str
    value: float
    own: float
    loop: float

    def allowed(self, bar: Bar, figures: FloatFigures) -> float:
        """Return what an output of these elements may be off by."""
        count = figures.count
        few = min(widened(bar.k, count) * self.own, bar.few_elements)
        return min(max(bar.k * self.own, few, bar.floor, self._of_long_sums(figures)), bar.ceiling)

    def _of_long_sums(self, figures: FloatFigures) -> float:
        """By what running sums are off, and by the length of those that were not computed."""
        longest, longest_kept = figures.longest, figures.longest_kept
        few = FEW_SUMS * math.sqrt(longest) * UNIT_ROUNDOFF
        by_loop = max(OTHER_ORDER * self.loop, min(OTHER_ORDER * luck(figures.count) * self.loop, few))
        return max(by_loop, BY_LENGTH * math.sqrt(longest_kept) * UNIT_ROUNDOFF)


def _measures(figures: FloatFigures, precision: Precision) -> tuple[_Measure, _Measure]:
    """By both measures, what the answer, eager's rounding and its running sums are off the reference."""
    sides = [side or Size() for side in (figures.off.actual, _own(figures, precision), figures.off.running)]
    scale, peak = figures.reference.rms(figures.count) or 1.0, figures.reference.largest or 1.0
    return (
        _Measure("relative RMSE", *(side.rms(figures.count) / scale for side in sides)),
        _Measure("relative maximum error", *(side.largest / peak for side in sides)),
    )


def _unfit(figures: FloatFigures, precision: Precision) -> Check | None:
    """The check where eager's own rounding is too large for ``k`` times it to mean anything; else None.

    INCONCLUSIVE, but FAIL for one number throughout, which no rounding makes. What is off by more than ``k`` times as
    much as eager is wrong too. int8 is judged by eager's fp32, and so by what that itself is off.
    """
    if (precision is Precision.INT8 and not figures.has_exact) or figures.are_identical:
        return None
    bar = BARS[Precision.FP32 if precision is Precision.INT8 else precision]
    measures = _measures(figures, precision)
    worst = max(measures, key=lambda measure: max(measure.own, measure.loop))
    own = max(worst.own, worst.loop)
    if own <= bar.unfit or any(measure.value > bar.k * max(measure.own, measure.loop) for measure in measures):
        return None
    if all(measure.own <= bar.unfit and measure.value <= bar.k * measure.own for measure in measures):
        return None
    alone = _constant_alone(figures, precision)
    if alone is not None:
        return Check(
            outcome=Outcome.FAIL,
            use=math.inf,
            statement=f"is {alone:.9g} in all {figures.count} elements, where eager's differ",
            figure="one number throughout",
        )
    name = "fp32" if precision is Precision.INT8 else precision.value
    by = f"a sum over {figures.longest} elements in another order" if worst.loop > worst.own else "itself"
    return Check(
        outcome=Outcome.INCONCLUSIVE,
        use=worst.value / own,
        statement=(
            f"can't be judged: eager's own {name} is off its fp64 by a {worst.kind} of {own:.1e} ({by}), more than the "
            f"{bar.unfit:g} up to which it can judge; the backend is off by {worst.value:.1e}. "
            "rtol=, atol= or cosine= in the mark judge it by numbers of your own"
        ),
        figure=f"eager's {name} is off by {own:.1e}",
        summary=OutputSummary(relative_rmse=measures[0].value, relative_max=measures[1].value, eagers_own_error=own),
    )


def _constant_alone(figures: FloatFigures, precision: Precision) -> float | None:
    """The number that the answer is throughout, where eager's, in both precisions, is not one number.

    None where eager's is made of few numbers, this one among them: rounding decides between those, as under ``sign``.
    """
    found = figures.constants or Constants(None, None, None)
    own = found.expected if precision in (Precision.FP32, Precision.INT8) else found.rounding
    if figures.count < TELLING_ELEMENTS or found.expected is not None or own is not None:
        return None
    return None if found.actual in found.steps else found.actual


def _rounding_check(figures: FloatFigures, precision: Precision) -> Check:
    """Hold both the root mean square and the maximum of the error to those of eager's own rounding."""
    bar = BARS[precision]
    both = _measures(figures, precision)
    limits = [measure.allowed(bar, figures) for measure in both]
    worst, allowed = max(zip(both, limits, strict=True), key=lambda found: found[0].value / found[1])
    (rmse, largest), own = (measure.value for measure in both), worst.own
    times = allowed_times = below = ""
    if own > 0:
        below = times = f" ({_times(worst.value / own)} {precision.value} rounding)"
        allowed_times = f" ({allowed / own:,.0f}x)"
    elif rmse > 0:
        below = f" (floor {bar.floor:.0e})"
    summed = f" by a sum over {figures.longest} elements" if figures.longest else ""
    scale, peak = figures.reference.rms(figures.count) or 1.0, figures.reference.largest or 1.0
    return Check(
        outcome=_passes_if(all(measure.value <= limit for measure, limit in zip(both, limits, strict=True))),
        use=worst.value / allowed,
        statement=f"is off by a {worst.kind} of {worst.value:.1e}{times}, allowed {allowed:.1e}{allowed_times}{summed}",
        figure=f"{rmse:.1e}{below}" if rmse > 0 else "exact",
        limit=min(limits[0] * scale, limits[1] * peak),
        summary=OutputSummary(
            relative_rmse=rmse,
            relative_max=largest,
            allowed_relative_rmse=limits[0],
            allowed_relative_max=limits[1],
            rounding_ratio=worst.value / own if own > 0 else None,
            allowed_rounding_ratio=allowed / own if own > 0 else None,
            longest_sum=figures.longest or None,
        ),
    )


def _closeness(figures: FloatFigures) -> Check:
    """``|actual - expected| <= atol + rtol * |expected|`` everywhere, as ``torch.testing.assert_close``."""
    worst = figures.worst
    assert worst is not None
    rtol, atol = worst.rtol, worst.atol
    return Check(
        outcome=_passes_if(not worst.exceeded),
        use=worst.use,
        statement=(
            f"differs by {worst.difference:.1e} at {list(worst.index)}, "
            f"allowed {worst.limit:.1e} (rtol={rtol:.2g}, atol={atol:.2g})"
        ),
        figure=f"max abs {figures.difference.largest:.1e}",
        limit=atol + rtol * figures.expected.largest,
        tolerance=(rtol, atol),
        summary=OutputSummary(rtol=rtol, atol=atol),
    )


def _sqnr(figures: FloatFigures, least: float) -> Check:
    measured = figures.sqnr_db
    return Check(
        outcome=_passes_if(measured >= least),
        use=10 ** ((least - measured) / 20),
        statement=f"has an SQNR of {measured:.1f} dB, at least {least:g} dB wanted",
        figure=f"{measured:.0f} dB" if math.isfinite(measured) else "exact",
        limit=10 ** (-least / 20) * (figures.expected.rms(figures.count) or 1.0),
        summary=OutputSummary(min_sqnr_db=least),
    )


def _cosine(figures: FloatFigures, least: float) -> Check:
    measured = figures.cosine
    return Check(
        outcome=_passes_if(measured >= least),
        use=(1 - measured) / max(1 - least, 1e-12),
        statement=f"has a cosine similarity of {measured:.6f}, at least {least:g} wanted",
        figure=f"cosine {measured:.4f}",
        summary=OutputSummary(min_cosine=least),
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
        summary=OutputSummary(min_top1=least, top1_hits=pooled.hits, top1_positions=pooled.positions),
    )


def _passes_if(holds: bool) -> Outcome:
    return Outcome.PASS if holds else Outcome.FAIL


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:,.0f}x"
