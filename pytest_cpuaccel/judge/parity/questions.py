"""Questions: what else has to be measured of an output before it can be judged, or reported."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.measurement.parity import FloatFigures, OutputMeasurement
from pytest_cpuaccel.core.parity_questions import ParityQuestions
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.checks import asks_for_constants, checks, in_force, likely_limit, worst_limit
from pytest_cpuaccel.judge.parity.floats import leaves_nothing, wrong_elements
from pytest_cpuaccel.judge.parity.output import judge_output
from pytest_cpuaccel.judge.parity.terms import Terms


def questions(output: OutputMeasurement, terms: Terms) -> ParityQuestions:
    """Return all that is to be known of an output; by what is known already, which may be nothing."""
    tolerance = terms.tolerance(output.name)
    asked = ParityQuestions(
        likely=likely_limit(tolerance, terms.precision), neighbours=tolerance.neighbours is not None
    )
    if output.figures is None:
        return asked
    asked = replace(asked, in_fp64=output.asked.in_fp64)
    if isinstance(output.figures, FloatFigures):
        asked = _of_floats(output, output.figures, asked, terms)
        if not output.asked.cover(asked):
            return asked
    return replace(asked, elsewhere=judge_output(output, terms, by_choice=False).outcome is Outcome.FAIL)


def _of_floats(
    output: OutputMeasurement, figures: FloatFigures, asked: ParityQuestions, terms: Terms
) -> ParityQuestions:
    """Each step hangs on what the one before asks for."""
    tolerance, precision = in_force(terms.tolerance(output.name), figures), terms.precision
    if wrong_elements(figures, tolerance) is not None:
        return replace(asked, relative=True, excess=(0.0, 0.0), nonfinite=True)
    if leaves_nothing(figures):
        return asked
    limit = worst_limit(figures, tolerance, precision)
    asked = replace(asked, worst=limit, constants=asks_for_constants(figures, tolerance, precision))
    asked = replace(asked, spread=precision is Precision.INT8 and tolerance == Tolerance())
    if not output.asked.cover(asked):
        return asked
    made = [*checks(figures, tolerance, precision)]
    if not asked.in_fp64 and any(check.is_close for check in made):
        return ParityQuestions(likely=asked.likely, in_fp64=True, neighbours=asked.neighbours)
    is_full = terms.in_full or any(check.outcome is not Outcome.PASS for check in made)
    asked = replace(asked, relative=is_full, top1=is_full or tolerance.top1 is not None)
    if not output.asked.cover(asked):
        return asked
    worst = judge_output(output, terms, by_choice=False).check
    if worst is None or worst.outcome is Outcome.PASS:
        return asked
    asked = replace(asked, relative=True)
    if worst.outcome is not Outcome.FAIL:
        return asked
    return replace(asked, excess=worst.tolerance or (0.0, worst.limit), farthest=worst.tolerance or (0.0, 1.0))
