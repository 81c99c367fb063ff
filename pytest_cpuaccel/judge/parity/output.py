"""The judgement of one output, whatever it holds."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.measurement.parity import (
    ExactFigures,
    FloatFigures,
    FormDifference,
    ObjectFigures,
    OtherChoice,
    OutputMeasurement,
)
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.evidence import share
from pytest_cpuaccel.judge.parity.exact import judge_exact
from pytest_cpuaccel.judge.parity.floats import judge_floats
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput
from pytest_cpuaccel.judge.parity.objects import judge_emptiness, judge_form, judge_objects
from pytest_cpuaccel.judge.parity.terms import Terms


def judge_output(output: OutputMeasurement, terms: Terms, *, by_choice: bool = True) -> JudgedOutput:
    """Judge one output; unless ``by_choice``, another choice between equal scores is no excuse."""
    found = _judged(output, terms)
    choice = output.choice
    if not by_choice or found.outcome is not Outcome.FAIL or choice is None:
        return found
    elsewhere = _judged(choice.elsewhere, terms)
    return found if elsewhere.outcome is Outcome.FAIL else _of_another_choice(found, choice)


def _judged(output: OutputMeasurement, terms: Terms) -> JudgedOutput:
    figures = output.figures
    assert figures is not None
    if isinstance(figures, FloatFigures):
        return judge_floats(output, figures, terms)
    if isinstance(figures, ExactFigures):
        return judge_exact(output, figures, terms)
    if isinstance(figures, ObjectFigures):
        return judge_objects(output.name, figures, terms.precision)
    if isinstance(figures, FormDifference):
        return judge_form(output.name, figures)
    return judge_emptiness(output.name, figures, output.masked)


def _of_another_choice(found: JudgedOutput, choice: OtherChoice) -> JudgedOutput:
    count, where = share(choice.count, choice.total), " and ".join(choice.choosers)
    sentence = (
        f"'{found.name}' can't be judged: it differs only where eager chose between equal values, in {where}, and "
        f"another choice is as right; {count} hang on that"
    )
    figure = "another choice of equals"
    return replace(found, outcome=Outcome.INCONCLUSIVE, sentence=sentence, figure=figure, evidence=())
