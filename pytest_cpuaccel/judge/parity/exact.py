"""The judgement of integers and bools, which are equal to eager's or not."""

from __future__ import annotations

import math
from dataclasses import replace

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import ExactFigures, OutputMeasurement
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.defaults import UNSTABLE
from pytest_cpuaccel.judge.parity.evidence import share
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput
from pytest_cpuaccel.judge.parity.terms import Terms


def judge_exact(output: OutputMeasurement, figures: ExactFigures, terms: Terms) -> JudgedOutput:
    """Judge such an output: what differs may be an index of an equal score, or hang on eager's own rounding."""
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
