"""The judgement of floating-point and complex numbers, which are near eager's or not."""

from __future__ import annotations

import math
from dataclasses import replace

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import FloatFigures, Mismatch, OutputMeasurement
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check
from pytest_cpuaccel.judge.parity.checks import checks, in_force, top1_check
from pytest_cpuaccel.judge.parity.evidence import differences, nonfinite, number, round_up, share
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput
from pytest_cpuaccel.judge.parity.lock import beyond_lock, lock_check, need
from pytest_cpuaccel.judge.parity.terms import Terms


def judge_floats(output: OutputMeasurement, figures: FloatFigures, terms: Terms) -> JudgedOutput:
    """Judge such an output by every check that the terms set; the worst decides."""
    name, masked = output.name, output.masked
    tolerance = in_force(terms.tolerance(name), figures)
    wrong = wrong_elements(figures, tolerance)
    if wrong is not None:
        return _of_nonfinite(output, figures, wrong)
    if figures.lost is not None and not figures.count:
        sentence = _lost(name, figures, figures.lost)
        return JudgedOutput(name, Outcome.INCONCLUSIVE, sentence, figure="eager overflows", masked=masked)
    if figures.unfit == figures.total:
        word = "NaN" if figures.is_nan else "NaN or infinite"
        sentence = f"'{name}' leaves nothing to compare: eager itself is {word} in all {figures.total} elements"
        return JudgedOutput(name, Outcome.INCONCLUSIVE, sentence, masked=masked, figure="eager is NaN")
    made = [*checks(figures, tolerance, terms.precision), *_top1(name, figures, terms)]
    needed = None
    if made and tolerance == Tolerance():
        needed, lock = need(figures, terms.precision, made), terms.budget.locks.get(name)
        made = made if lock is None else [lock_check(figures, lock, made), *beyond_lock(lock, made)]
    if not made:
        note = f"'{name}' was not compared: it has no top-1 answer"
        return JudgedOutput(name, Outcome.PASS, note, use=0.0, notes=(note,))
    return replace(_of_checks(output, figures, made, tolerance), need=needed)


def wrong_elements(figures: FloatFigures, tolerance: Tolerance) -> Mismatch | None:
    """Return the elements that are NaN or infinite on one side, and wrong; None for none."""
    return figures.wrong if tolerance == Tolerance() else figures.mismatched


def leaves_nothing(figures: FloatFigures) -> bool:
    """Tell whether eager's own answer leaves no element to compare."""
    return (figures.lost is not None and not figures.count) or figures.unfit == figures.total


def _top1(name: str, figures: FloatFigures, terms: Terms) -> tuple[Check, ...]:
    least = terms.tolerance(name).top1
    if least is None or figures.top1 is None:
        return ()
    return (top1_check(figures.top1, terms.pooled.get(name) or figures.top1, least),)


def _of_checks(
    output: OutputMeasurement, figures: FloatFigures, made: list[Check], tolerance: Tolerance
) -> JudgedOutput:
    if figures.are_identical:  # which arithmetic of finite precision may deny: 1 - cosine is 1e-16 here
        made = [_of_the_same(check) for check in made]
    name, worst = output.name, max(made, key=lambda check: (check.outcome.severity, check.use))
    summary = _summary(figures)
    for check in made:
        summary = summary.filled(check.summary)
    outcome, sentence = worst.outcome, f"'{name}' {worst.statement}"
    if outcome is Outcome.PASS and figures.lost is not None:
        outcome, sentence = Outcome.INCONCLUSIVE, _lost(name, figures, figures.lost)
    is_off = worst.outcome is Outcome.FAIL
    return JudgedOutput(
        name,
        outcome,
        sentence,
        compared=figures.count,
        masked=output.masked,
        use=worst.use,
        figure=", ".join(check.figure for check in made if check.figure),
        summary=summary,
        evidence=(*differences(name, figures, worst.limit, worst.tolerance),) if is_off else (),
        notes=(f"'{name}': {figures.alike} elements are NaN or infinite in eager too",) if figures.alike else (),
        limit=worst.limit,
        top1=None if tolerance.top1 is None else figures.top1,
        check=worst,
    )


def _of_the_same(check: Check) -> Check:
    if check.outcome is Outcome.PASS:
        return check
    statement, figure = "equals eager's bit for bit", "equal to the bit"
    return replace(check, outcome=Outcome.PASS, use=1.0, statement=statement, figure=figure)


def _of_nonfinite(output: OutputMeasurement, figures: FloatFigures, wrong: Mismatch) -> JudgedOutput:
    sentence = (
        f"'{output.name}' is {number(wrong.actual)} at {list(wrong.index)}, where eager's is "
        f"{number(wrong.expected)}; {share(wrong.count, figures.total)} so"
    )
    counts = () if figures.nonfinite is None else (nonfinite(output.name, figures.nonfinite),)
    return JudgedOutput(
        output.name,
        Outcome.FAIL,
        sentence,
        figures.count,
        output.masked,
        figure="NaN or Inf",
        summary=OutputSummary(mismatched_nonfinite=wrong.count),
        evidence=(*counts, *differences(output.name, figures, 0.0)),
    )


def _lost(name: str, figures: FloatFigures, lost: Mismatch) -> str:
    """That eager's fp32 overflows where more digits would not."""
    exact = "finite" if lost.exact is None else number(lost.exact)
    return (
        f"'{name}' can't be judged: eager's own fp32 is {number(lost.expected)} at "
        f"{list(lost.index)}, where its fp64 is {exact} and the backend's answer {number(lost.actual)}; "
        f"{share(lost.count, figures.total)} so"
    )


def _summary(figures: FloatFigures) -> OutputSummary:
    largest, relative = figures.difference.largest, figures.largest_relative
    return OutputSummary(
        max_abs=_finite(largest),
        cosine=_finite(figures.cosine),
        sqnr_db=_finite(figures.sqnr_db),
        smallest_atol=_finite(round_up(largest)),
        smallest_rtol=None if relative is None else _finite(round_up(relative)),
        top1=None if figures.top1 is None else figures.top1.value,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
