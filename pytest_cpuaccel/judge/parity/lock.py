"""Tolerances of a lock: what one output is held to by it, and what its errors justify."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_cpuaccel.core.measurement.parity import FloatFigures, Size
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS, INT8_FLOOR, INT8_NEEDED, INT8_SQNR_DB, LOCK_MARGIN
from pytest_cpuaccel.core.tolerance_lock import Lock, Need
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check, passes_if
from pytest_cpuaccel.judge.parity.defaults import luck, widened
from pytest_cpuaccel.judge.parity.evidence import round_up
from pytest_cpuaccel.judge.parity.rounding import VARYING, Measure, both_measures, is_judged_by_rounding
from pytest_cpuaccel.judge.parity.terms import Terms


def lock_check(figures: FloatFigures, lock: Lock, by_default: Sequence[Check]) -> Check:
    """Hold both the root mean square and the maximum of the error to a lock."""
    both = both_measures(figures, None)
    limits = lock.rmse, lock.largest
    uses = [_use(measure.value, limit) for measure, limit in zip(both, limits, strict=True)]
    worst = uses.index(max(uses))
    rmse, largest = (measure.value for measure in both)
    outcome = passes_if(uses[worst] <= 1)
    on = f", which was measured on {lock.measured_on}" if lock.measured_on else ""
    usual = (
        "; the default tolerance would pass it" if all(check.outcome is Outcome.PASS for check in by_default) else ""
    )
    scale, peak = figures.reference.rms(figures.count) or 1.0, figures.reference.largest or 1.0
    return Check(
        outcome=outcome,
        use=uses[worst],
        statement=(
            f"is off by a {both[worst].kind} of {both[worst].value:.1e}, allowed {limits[worst]:.1e} by "
            f"{lock.place}{on}{usual}"
        ),
        figure=f"{rmse:.1e} of {lock.rmse:.1e}",
        limit=min(lock.rmse * scale, lock.largest * peak),
        summary=OutputSummary(
            relative_rmse=rmse,
            relative_max=largest,
            allowed_relative_rmse=lock.rmse,
            allowed_relative_max=lock.largest,
            locked_by=lock.place or None,
        ),
    )


def beyond_lock(lock: Lock, by_default: Sequence[Check]) -> Iterator[Check]:
    """Yield the default checks that show more than an error's size, which is all that a lock limits.

    Of what varies among the rows a lock may set its own limit.
    """
    for check in by_default:
        if check.outcome is not Outcome.FAIL or not check.beyond_size:
            continue
        varying = check.summary.spread_sqnr_db
        if check.beyond_size != VARYING or varying is None:
            yield check
        elif lock.varying_db is None:
            allowed = f"{check.statement}; {lock.place} has no varying_db, which alone could allow it"
            yield replace(check, statement=allowed)
        else:
            yield _varying_check(check, lock, varying, lock.varying_db)


def _varying_check(check: Check, lock: Lock, varying: float, least: float) -> Check:
    return replace(
        check,
        outcome=passes_if(varying >= least),
        use=10 ** ((least - varying) / 20),
        statement=(
            f"has an SQNR of {varying:.1f} dB in {VARYING}, at least {least:g} dB wanted by varying_db in {lock.place}"
        ),
        figure=f"{varying:.0f} dB of what varies",
    )


def need(figures: FloatFigures, terms: Terms, by_default: Sequence[Check]) -> Need:
    """Return the tolerance that an output's errors justify; a refusal where the default tolerance does not pass it.

    Eager's own error says nothing of a candidate, which is held to what int8 is.
    """
    precision = Precision.INT8 if terms.budget.of_candidate else terms.precision
    own = None if terms.budget.of_candidate else _own(figures, precision)
    of_rmse, of_largest = both_measures(figures, own)
    failing = max(by_default, key=lambda check: (check.outcome.severity, check.use))
    if failing.outcome is not Outcome.PASS and not figures.are_identical:
        refusal = f"{failing.outcome.value} by the default tolerance: it {failing.statement}"
        return Need(0.0, 0.0, of_rmse.value, of_largest.value, refusal=refusal)
    return Need(
        rmse=_justified(of_rmse, figures, precision),
        largest=_justified(of_largest, figures, precision),
        measured_rmse=of_rmse.value,
        measured_largest=of_largest.value,
        eager_rmse=None if own is None else of_rmse.own,
        eager_largest=None if own is None else of_largest.own,
        precision=terms.precision.value,
    )


def _justified(measure: Measure, figures: FloatFigures, precision: Precision) -> float:
    """LOCK_MARGIN times the larger of both errors, no less than the floor and no more than the default allows."""
    wanted = LOCK_MARGIN * luck(figures.count) * max(measure.value, measure.own, measure.loop)
    if precision is Precision.INT8:
        most = 10 ** (-INT8_SQNR_DB / 20)
        if measure.own > 0:
            most = min(most, max(INT8_FLOOR, widened(INT8_NEEDED, figures.count) * measure.own))
        return round_up(max(min(wanted, most), measure.value, BARS[Precision.FP32].floor))
    bar = BARS[precision]
    most = measure.allowed(bar, figures) if is_judged_by_rounding(figures, precision) else math.inf
    return round_up(
        max(min(max(wanted, bar.floor, figures.of_type, measure.of_long_sums(figures)), most), measure.value)
    )


def _own(figures: FloatFigures, precision: Precision) -> Size | None:
    """Eager's own error in this precision against its fp64; None where it is not known."""
    found = figures.off.expected if precision is Precision.FP32 else figures.off.rounding
    return found if found is not None and figures.has_exact and math.isfinite(found.squares) else None


def _use(value: float, limit: float) -> float:
    if value <= limit:
        return value / limit if limit else 0.0
    return value / limit if limit else math.inf
