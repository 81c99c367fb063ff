"""The checks of one output: those that a tolerance sets, or the defaults of the precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import FloatFigures, Neighbours, Share
from pytest_cpuaccel.core.parity_questions import ElementLimit, LikelyLimit
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS, FEWEST_ROWS, INT8_COSINE, INT8_SQNR_DB, REDUCED, TELLING_ELEMENTS
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check, passes_if
from pytest_cpuaccel.judge.parity.defaults import OTHER_ORDER
from pytest_cpuaccel.judge.parity.rounding import int8_rounding, is_judged_by_rounding, rounding_check, unfit


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
    if tolerance.neighbours is not None and figures.neighbours is not None:
        yield _neighbours(figures.neighbours, tolerance.neighbours)


def in_force(tolerance: Tolerance, figures: FloatFigures) -> Tolerance:
    """Return a tolerance without what it asks of neighbours where an output has no rows."""
    return replace(tolerance, neighbours=None) if figures.neighbours is None else tolerance


def likely_limit(tolerance: Tolerance, precision: Precision) -> LikelyLimit | None:
    """Return the limit that every element of an output will probably be held to; None for no such limit."""
    if tolerance.rtol is not None or tolerance.atol is not None:
        return LikelyLimit(tolerance.rtol or 0.0, tolerance.atol or 0.0)
    if tolerance != Tolerance() or precision in REDUCED:
        return None
    return LikelyLimit(BARS[precision].rtol, scaled_atol=BARS[precision].scaled_atol)


def worst_limit(figures: FloatFigures, tolerance: Tolerance, precision: Precision) -> ElementLimit | None:
    """Return the rtol and atol that every element is held to; None where it is to none."""
    if tolerance.rtol is not None or tolerance.atol is not None:
        return tolerance.rtol or 0.0, tolerance.atol or 0.0
    if tolerance != Tolerance() or is_judged_by_rounding(figures, precision):
        return None
    bar, loop = BARS[precision], figures.off.running
    scale = figures.expected.rms(figures.count) or 1.0
    by_loop = 0.0 if loop is None else loop.largest / (figures.reference.largest or 1.0)
    return max(bar.rtol, figures.of_type), scale * max(bar.scaled_atol, figures.of_type, OTHER_ORDER * by_loop)


def asks_for_constants(figures: FloatFigures, tolerance: Tolerance, precision: Precision) -> bool:
    """Tell whether it counts if a side is one number throughout."""
    if tolerance != Tolerance() or not is_judged_by_rounding(figures, precision):
        return False
    return figures.count >= TELLING_ELEMENTS and unfit(figures, precision) is not None


def _default_checks(figures: FloatFigures, precision: Precision) -> Iterator[Check]:
    if not is_judged_by_rounding(figures, precision):
        yield _closeness(figures)
        return
    not_fit = unfit(figures, precision)
    if not_fit is not None:
        yield not_fit
    elif precision is Precision.INT8:
        yield from (_sqnr(figures, INT8_SQNR_DB), _cosine(figures, INT8_COSINE))
        yield from int8_rounding(figures)
    else:
        yield rounding_check(figures, precision)


def _closeness(figures: FloatFigures) -> Check:
    """``|actual - expected| <= atol + rtol * |expected|`` everywhere, as ``torch.testing.assert_close``."""
    worst = figures.worst
    assert worst is not None
    rtol, atol = worst.rtol, worst.atol
    return Check(
        outcome=passes_if(not worst.exceeded),
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
        outcome=passes_if(measured >= least),
        use=10 ** ((least - measured) / 20),
        statement=f"has an SQNR of {measured:.1f} dB, at least {least:g} dB wanted",
        figure=f"{measured:.0f} dB" if math.isfinite(measured) else "exact",
        limit=10 ** (-least / 20) * (figures.expected.rms(figures.count) or 1.0),
        summary=OutputSummary(min_sqnr_db=least),
    )


def _cosine(figures: FloatFigures, least: float) -> Check:
    measured = figures.cosine
    return Check(
        outcome=passes_if(measured >= least),
        use=(1 - measured) / max(1 - least, 1e-12),
        statement=f"has a cosine similarity of {measured:.6f}, at least {least:g} wanted",
        figure=f"cosine {measured:.4f}",
        summary=OutputSummary(min_cosine=least),
    )


def _neighbours(found: Neighbours, least: float) -> Check:
    if not found.positions:
        rows = f"{found.rows} row{'s' * (found.rows != 1)}"
        few = f"it has {rows} in one call, of {FEWEST_ROWS} or more one has a nearest; give the model more at once"
        alike = "all its rows are as near to one another under eager as fp32 can tell; give the model others"
        is_few = found.rows < FEWEST_ROWS
        return Check(
            outcome=Outcome.INCONCLUSIVE,
            use=0.0,
            statement=f"can't be judged by neighbours=: {few if is_few else alike}",
            figure="too few rows" if is_few else "rows too near",
            summary=OutputSummary(min_neighbours=least),
        )
    return Check(
        outcome=passes_if(found.value >= least),
        use=(1 - found.value) / max(1 - least, 1e-12),
        statement=(
            f"keeps {found.value:.2%} of its nearest neighbours ({found.hits} of {found.positions}, {found.nearest} of "
            f"each of {found.rows} rows), at least {least:.2%} wanted"
        ),
        figure=f"neighbours {found.value:.1%}",
        summary=OutputSummary(neighbours=found.value, min_neighbours=least),
    )


def top1_check(own: Share, pooled: Share, least: float) -> Check:
    """Hold the top-1 answers of all calls of a test, ``pooled``, to a least share; a call without a miss passes."""
    of_calls = " over all calls of the test" if pooled != own else ""
    return Check(
        outcome=passes_if(pooled.value >= least or own.hits == own.positions),
        use=(1 - pooled.value) / max(1 - least, 1e-12),
        statement=(
            f"agrees in {pooled.value:.2%} of its top-1 answers ({pooled.hits} of {pooled.positions} "
            f"positions{of_calls}), at least {least:.2%} wanted"
        ),
        figure=f"top-1 {pooled.value:.1%}",
        summary=OutputSummary(min_top1=least, top1_hits=pooled.hits, top1_positions=pooled.positions),
    )
