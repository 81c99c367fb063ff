"""Checks by rounding: an answer may be off by a few times what eager itself is off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cpuaccel.core.measurement.parity import Constants, FloatFigures, Size
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import (
    BARS,
    INT8_BLAMED,
    INT8_BROKEN,
    INT8_FLOOR,
    INT8_NEEDED,
    INT8_SQNR_DB,
    REDUCED,
    TELLING_ELEMENTS,
    UNIT_ROUNDOFF,
    Bar,
)
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check, passes_if
from pytest_cpuaccel.judge.parity.defaults import BY_LENGTH, FEW_SUMS, OTHER_ORDER, luck, widened


def is_judged_by_rounding(figures: FloatFigures, precision: Precision) -> bool:
    """Tell whether eager's own rounding is known, or none is needed; fp32 is exact enough to measure bf16 by."""
    if precision is Precision.INT8:
        return True
    return _own(figures, precision) is not None and (figures.has_exact or precision in REDUCED)


def unfit(figures: FloatFigures, precision: Precision) -> Check | None:
    """Return the check of an output that eager's own rounding is too large to judge by; None if it can judge.

    The outcome is INCONCLUSIVE. It is FAIL if the answer is one number throughout, which no rounding makes. An answer
    that is off by more than ``k`` times eager's error gets None: it is wrong anyway. int8 is judged by eager's fp32.
    """
    if (precision is Precision.INT8 and not figures.has_exact) or figures.are_identical:
        return None
    bar = BARS[Precision.FP32 if precision is Precision.INT8 else precision]
    measures = both_measures(figures, _own(figures, precision))
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
            beyond_size="one number throughout",
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


def rounding_check(figures: FloatFigures, precision: Precision) -> Check:
    """Hold both the root mean square and the maximum of the error to those of eager's own rounding."""
    bar = BARS[precision]
    both = both_measures(figures, _own(figures, precision))
    limits = [measure.allowed(bar, figures) for measure in both]
    worst, allowed = max(zip(both, limits, strict=True), key=lambda found: found[0].value / found[1])
    (rmse, largest), own = (measure.value for measure in both), worst.own
    times = allowed_times = below = ""
    if own > 0:
        below = times = f" ({_times(worst.value / own)} {precision.value} rounding)"
        allowed_times = f" ({allowed / own:,.0f}x)"
    elif rmse > 0:
        below = f" (floor {max(bar.floor, figures.of_type):.0e})"
    summed = f" by a sum over {figures.longest} elements" if figures.longest else ""
    scale, peak = figures.reference.rms(figures.count) or 1.0, figures.reference.largest or 1.0
    return Check(
        outcome=passes_if(all(measure.value <= limit for measure, limit in zip(both, limits, strict=True))),
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


VARYING = "what varies among the rows"
"""What int8 may lose though the whole output is close: outputs may share a large common part."""


def int8_rounding(figures: FloatFigures) -> Iterator[Check]:
    """Yield the check of an int8 answer by eager's int8 rounding; none where that is not known, or is no error.

    INCONCLUSIVE is the outcome of an answer that is worse than usual backends, but no worse than coarse ones may be.
    """
    own = figures.off.rounding
    if own is None or not own.squares > 0 or not math.isfinite(own.squares):
        return
    varying, hides = _of_what_varies(figures, own)
    measures = both_measures(figures, own)
    needed, broken = (widened(times, figures.count) for times in (INT8_NEEDED, INT8_BROKEN))
    worst = max(measures, key=_ratio)
    times = _ratio(worst)
    used = max((_ratio(measure) / needed for measure in measures if hides or measure.value > INT8_FLOOR), default=0.0)
    rmse = measures[0]
    outcome = passes_if((rmse.value <= INT8_BLAMED and not hides) or _ratio(rmse) <= broken)
    doubt = ""
    if outcome is Outcome.PASS and used > 1:
        outcome = Outcome.INCONCLUSIVE
        doubt = (
            ": more than int8 backends usually need, less than shows that something is broken. sqnr_db= or cosine= in "
            "the mark judge it by numbers of your own"
        )
    yield Check(
        outcome=outcome,
        use=used,
        statement=(
            f"is off by a {worst.kind} of {worst.value:.1e} ({_times(times)} int8 rounding), allowed "
            f"{needed * worst.own:.1e} ({needed:.0f}x){_told_varying(varying) if hides else ''}{doubt}"
        ),
        figure=f"{_times(times)} int8 rounding{f', {varying:.0f} dB of what varies' if hides else ''}",
        summary=OutputSummary(rounding_ratio=times, allowed_rounding_ratio=needed, spread_sqnr_db=varying),
        beyond_size=VARYING if hides else "",
    )


def _of_what_varies(figures: FloatFigures, own: Size) -> tuple[float | None, bool]:
    """The SQNR of what varies among the rows, and whether it is too small though that of the whole output is not.

    Where eager's int8 rounding is as large as what varies, int8 can't tell the rows apart anyway.
    """
    off = figures.off.actual.rms(figures.count)
    if not figures.spread or not off or figures.spread <= own.rms(figures.count):
        return None, False
    found = 20 * math.log10(figures.spread / off)
    return found, found < INT8_SQNR_DB


def _told_varying(varying: float | None) -> str:
    return f"; what varies among its rows has an SQNR of {varying:.1f} dB, the rest is common to all"


def _ratio(measure: Measure) -> float:
    return measure.value / measure.own


@dataclass(frozen=True)
class Measure:
    """One measure of error: of the answer (``value``), of eager's rounding (``own``), of running sums (``loop``)."""

    kind: str
    value: float
    own: float
    loop: float

    def allowed(self, bar: Bar, figures: FloatFigures) -> float:
        """Return what an output of these elements may be off by."""
        count = figures.count
        few = min(widened(bar.k, count) * self.own, bar.few_elements)
        return min(max(bar.k * self.own, few, bar.floor, figures.of_type, self.of_long_sums(figures)), bar.ceiling)

    def of_long_sums(self, figures: FloatFigures) -> float:
        """Return what another order of long sums may be off: by running sums, by length where none was computed."""
        longest, longest_kept = figures.longest, figures.longest_kept
        few = FEW_SUMS * math.sqrt(longest) * UNIT_ROUNDOFF
        by_loop = max(OTHER_ORDER * self.loop, min(OTHER_ORDER * luck(figures.count) * self.loop, few))
        return max(by_loop, BY_LENGTH * math.sqrt(longest_kept) * UNIT_ROUNDOFF)


def both_measures(figures: FloatFigures, own: Size | None) -> tuple[Measure, Measure]:
    """Return, by both measures, what the answer, eager's rounding and its running sums are off the reference."""
    sides = [side or Size() for side in (figures.off.actual, own, figures.off.running)]
    scale, peak = figures.reference.rms(figures.count) or 1.0, figures.reference.largest or 1.0
    return (
        Measure("relative RMSE", *(side.rms(figures.count) / scale for side in sides)),
        Measure("relative maximum error", *(side.largest / peak for side in sides)),
    )


def _own(figures: FloatFigures, precision: Precision) -> Size | None:
    """What eager itself is off, in the precision that the answer is judged by."""
    return figures.off.expected if precision in (Precision.FP32, Precision.INT8) else figures.off.rounding


def _constant_alone(figures: FloatFigures, precision: Precision) -> float | None:
    """The number that the answer is throughout, where eager's, in both precisions, is not one number.

    None where eager's is made of few numbers, this one among them: rounding decides between those, as under ``sign``.
    """
    found = figures.constants or Constants(None, None, None)
    own = found.expected if precision in (Precision.FP32, Precision.INT8) else found.rounding
    if figures.count < TELLING_ELEMENTS or found.expected is not None or own is not None:
        return None
    return None if found.actual in found.steps else found.actual


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 99.95 else f"{ratio:,.0f}x"
