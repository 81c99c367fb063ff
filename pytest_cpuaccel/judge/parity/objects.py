"""The judgement of outputs that have no elements to compare: text, objects, and tensors of another form."""

from __future__ import annotations

from pytest_cpuaccel.core.measurement.parity import Emptiness, FormDifference, ObjectFigures
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput

_INSTEAD = "return them in a tuple, dict, dataclass or ModelOutput instead"


def judge_objects(name: str, figures: ObjectFigures, precision: Precision) -> JudgedOutput:
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


def judge_form(name: str, form: FormDifference) -> JudgedOutput:
    """Judge an output that has another form than eager's: it is wrong."""
    if form.what == "missing":
        sentence = f"output '{name}' is missing; the backend returned {form.actual or 'none'}"
        return JudgedOutput(name, Outcome.FAIL, sentence, figure="missing output")
    if form.what == "extra":
        sentence = f"output '{name}' is extra; eager returned {form.expected or 'none'}"
        return JudgedOutput(name, Outcome.FAIL, sentence, figure="extra output")
    if form.what == "nested":
        return _wrong(name, "is a nested tensor, without padding; eager's has it", "wrong type")
    return _wrong(name, f"has {form.what} {form.actual}, eager's has {form.expected}", f"wrong {form.what}")


def judge_emptiness(name: str, empty: Emptiness, masked: int) -> JudgedOutput:
    """Judge an output without an element to compare: it passes, with a note."""
    why = "all padding" if empty.is_padding else f"shape {empty.shape}"
    note = f"'{name}' was not compared: it has no element to compare ({why})"
    return JudgedOutput(name, Outcome.PASS, note, masked=masked, use=0.0, notes=(note,))


def _wrong(name: str, statement: str, figure: str) -> JudgedOutput:
    return JudgedOutput(name, Outcome.FAIL, f"'{name}' {statement}", figure=figure)
