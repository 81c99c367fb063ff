"""What comparing one output came to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import (
    Emptiness,
    ExactFigures,
    FloatFigures,
    FormDifference,
    Mismatch,
    ObjectFigures,
    OtherChoice,
    OutputMeasurement,
    Share,
)
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check, checks, top1_check
from pytest_cpuaccel.judge.parity.defaults import UNSTABLE
from pytest_cpuaccel.judge.parity.evidence import differences, nonfinite, number, round_up, share
from pytest_cpuaccel.judge.parity.terms import Terms

_INSTEAD = "return them in a tuple, dict, dataclass or ModelOutput instead"


@dataclass(frozen=True)
class JudgedOutput:
    """``sentence`` names the output, ``compared`` counts elements, ``use`` is the share of the allowance.

    ``limit`` is the difference above which an element counts as off, ``top1`` the share of agreeing positions where
    the tolerance asks for it. ``check`` is what decided of numbers that were held to a limit.
    """

    name: str
    outcome: Outcome
    sentence: str
    compared: int = 0
    masked: int = 0
    use: float = math.inf
    figure: str = ""
    summary: OutputSummary = field(default_factory=OutputSummary)
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit: float = 0.0
    top1: Share | None = None
    check: Check | None = None


def judge_output(output: OutputMeasurement, terms: Terms, *, by_choice: bool = True) -> JudgedOutput:
    """Judge one output; unless ``by_choice``, another choice between equal scores is no excuse."""
    found = _judged(output, terms)
    choice = output.choice
    if not by_choice or found.outcome is not Outcome.FAIL or choice is None:
        return found
    elsewhere = _judged(choice.elsewhere, terms)
    return found if elsewhere.outcome is Outcome.FAIL else _of_another_choice(found, choice)


def wrong_elements(figures: FloatFigures, tolerance: Tolerance) -> Mismatch | None:
    """Return the elements that are NaN or infinite on one side, and wrong; None for none."""
    return figures.wrong if tolerance == Tolerance() else figures.mismatched


def leaves_nothing(figures: FloatFigures) -> bool:
    """Tell whether eager's own answer leaves no element to compare."""
    return (figures.lost is not None and not figures.count) or figures.unfit == figures.total


def _of_another_choice(found: JudgedOutput, choice: OtherChoice) -> JudgedOutput:
    count, where = share(choice.count, choice.total), " and ".join(choice.choosers)
    sentence = (
        f"'{found.name}' can't be judged: it differs only where eager chose between equal values, in {where}, and "
        f"another choice is as right; {count} hang on that"
    )
    figure = "another choice of equals"
    return replace(found, outcome=Outcome.INCONCLUSIVE, sentence=sentence, figure=figure, evidence=())


def _judged(output: OutputMeasurement, terms: Terms) -> JudgedOutput:
    figures = output.figures
    assert figures is not None
    if isinstance(figures, FloatFigures):
        return _of_floats(output, figures, terms)
    if isinstance(figures, ExactFigures):
        return _of_exact(output, figures, terms)
    if isinstance(figures, ObjectFigures):
        return _of_objects(output.name, figures, terms.precision)
    if isinstance(figures, FormDifference):
        return _of_another_form(output.name, figures)
    return _of_nothing(output, figures)


def _of_nothing(output: OutputMeasurement, empty: Emptiness) -> JudgedOutput:
    why = "all padding" if empty.is_padding else f"shape {empty.shape}"
    note = f"'{output.name}' was not compared: it has no element to compare ({why})"
    return JudgedOutput(output.name, Outcome.PASS, note, masked=output.masked, use=0.0, notes=(note,))


def _of_another_form(name: str, form: FormDifference) -> JudgedOutput:
    if form.what == "missing":
        sentence = f"output '{name}' is missing; the backend returned {form.actual or 'none'}"
        return JudgedOutput(name, Outcome.FAIL, sentence, figure="missing output")
    if form.what == "extra":
        sentence = f"output '{name}' is extra; eager returned {form.expected or 'none'}"
        return JudgedOutput(name, Outcome.FAIL, sentence, figure="extra output")
    if form.what == "nested":
        return _wrong(name, "is a nested tensor, without padding; eager's has it", "wrong type")
    return _wrong(name, f"has {form.what} {form.actual}, eager's has {form.expected}", f"wrong {form.what}")


def _wrong(name: str, statement: str, figure: str) -> JudgedOutput:
    return JudgedOutput(name, Outcome.FAIL, f"'{name}' {statement}", figure=figure)


def _of_objects(name: str, figures: ObjectFigures, precision: Precision) -> JudgedOutput:
    """None, text and other exact values must be equal; an object with tensors in it is only half compared.

    In a reduced precision nobody can tell how far the numbers were off that a text was made of.
    """
    kind, both = figures.kind, f"is {figures.actual}, eager's is {figures.expected}"
    if figures.relation == "none":
        return JudgedOutput(name, Outcome.PASS, f"'{name}' is None", use=0.0)
    if figures.relation == "equal":
        return JudgedOutput(name, Outcome.PASS, f"'{name}' is equal", compared=1, use=0.0, figure="equal")
    if figures.relation == "unknown":
        note = f"'{name}' was not compared: a {kind} is not looked into"
        return JudgedOutput(name, Outcome.PASS, note, use=0.0, notes=(note,))
    if figures.relation == "other type":
        return _wrong(name, both, "wrong type")
    if figures.relation == "exact" and precision not in REDUCED:
        return _wrong(name, both, "not equal")
    if figures.relation == "holding tensors":
        sentence = f"'{name}' was not compared: a {kind} holds tensors, but its type is not looked into; {_INSTEAD}"
        return JudgedOutput(name, Outcome.INCONCLUSIVE, sentence, use=0.0, figure="not compared")
    if figures.relation == "exact":
        sentence = f"'{name}' can't be judged: it {both}, which rounding to {precision.value} may bring about"
    else:
        sentence = f"'{name}' can't be judged: it is a {kind} with other values than eager's; {_INSTEAD}"
    return JudgedOutput(name, Outcome.INCONCLUSIVE, sentence, use=0.0, figure="not equal")


def _of_exact(output: OutputMeasurement, figures: ExactFigures, terms: Terms) -> JudgedOutput:
    name, wrong, compared = output.name, figures.different, figures.count
    notes: tuple[str, ...] = ()
    if figures.actual_dtype != figures.expected_dtype:
        notes = (f"'{name}' is {figures.actual_dtype}, eager's {figures.expected_dtype}: values compared",)
    found = JudgedOutput(
        name,
        Outcome.PASS,
        f"'{name}' is equal",
        compared,
        output.masked,
        use=0.0,
        figure="equal",
        summary=OutputSummary(different_elements=wrong),
        notes=notes,
    )
    if not wrong:
        return found
    outcome, sentence, more = _of_different(name, figures, terms.precision)
    is_default = terms.tolerance(name) == Tolerance()
    if outcome is Outcome.FAIL and is_default and not figures.is_constant_alone and _is_unstable(figures):
        outcome = Outcome.INCONCLUSIVE
        sentence = (
            f"'{name}' can't be judged: it differs at {wrong} of {compared} elements, and eager's own fp32 "
            f"differs from its fp64 at {figures.unstable}"
        )
    passes = outcome is Outcome.PASS
    return replace(
        found,
        outcome=outcome,
        sentence=sentence,
        use=1.0 if passes else math.inf,
        figure=f"{wrong} tied" if passes else f"{wrong} differ",
        evidence=(f"{name}: {share(wrong, compared)} differ", *more),
        notes=(*notes, sentence) if passes else notes,
    )


def _is_unstable(figures: ExactFigures) -> bool:
    return figures.different <= UNSTABLE * figures.unstable


def _of_different(name: str, figures: ExactFigures, precision: Precision) -> tuple[Outcome, str, tuple[str, ...]]:
    """What integers that are not eager's are: wrong, or indices of scores that are equal or as good as equal."""
    first, tie = figures.first, figures.tie
    assert first is not None
    if tie and tie.excess <= 1:
        what = (
            "equal scores"
            if not tie.margin
            else (f"scores that lie {tie.margin:.1e} apart at most, which rounding explains (up to {tie.bound:.1e})")
        )
        sentence = f"'{name}' has another index at {figures.different} of {figures.count} elements, of {what}"
        return Outcome.INCONCLUSIVE if tie.margin and precision in REDUCED else Outcome.PASS, sentence, ()
    found = f"actual {first.actual}, expected {first.expected}"
    sentence = f"'{name}' differs at {list(first.index)}: {found}; {figures.expected_dtype} must be equal"
    if tie is None:
        return Outcome.FAIL, sentence, ()
    apart = f"eager's scores at the two indices lie {tie.margin:.1e} apart, where rounding explains {tie.bound:.1e}"
    return Outcome.FAIL, sentence, (apart,)


def _of_floats(output: OutputMeasurement, figures: FloatFigures, terms: Terms) -> JudgedOutput:
    name, tolerance, masked = output.name, terms.tolerance(output.name), output.masked
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
    if not made:
        note = f"'{name}' was not compared: it has no top-1 answer"
        return JudgedOutput(name, Outcome.PASS, note, use=0.0, notes=(note,))
    return _of_checks(output, figures, made, tolerance)


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
