"""The judgement of measured outputs: a pure function, without torch."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.measurement.parity import (
    Distances,
    Excess,
    FloatFigures,
    FormDifference,
    OutputMeasurement,
    ParityMeasurement,
    Share,
    Size,
    WorstElement,
)
from pytest_cpuaccel.core.parity_questions import ParityQuestions
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import Comparison, judge_comparison
from pytest_cpuaccel.judge.parity.questions import questions
from pytest_cpuaccel.judge.parity.terms import Terms

COUNT = 10_000
ONE = Size(COUNT, 4.0)
DEFAULT = Terms(ParityBudget(), Precision.FP32)


def off(relative: float) -> Size:
    """The size of a difference, relative to numbers of size one."""
    return Size(COUNT * relative**2, 4 * relative)


def figures(answer: float, own: float) -> FloatFigures:
    """An output that is off its fp64 by ``answer``, where eager is off by ``own``."""
    return FloatFigures(
        total=COUNT,
        count=COUNT,
        alike=0,
        unfit=0,
        is_nan=False,
        has_exact=True,
        actual=ONE,
        expected=ONE,
        exact=ONE,
        difference=off(answer),
        cosine=1.0,
        sqnr_db=60.0,
        off=Distances(off(answer), off(own)),
    )


def output(found: FloatFigures, **asked) -> OutputMeasurement:
    return OutputMeasurement("logits", found, asked=ParityQuestions(**asked))


def judged(*outputs: OutputMeasurement, terms: Terms = DEFAULT) -> Comparison:
    return judge_comparison(ParityMeasurement(outputs, terms.precision), terms)


def test_an_answer_is_held_to_eagers_own_rounding() -> None:
    right, wrong = judged(output(figures(5e-6, 1e-6))), judged(output(figures(5e-5, 1e-6)))
    assert right.outcome is Outcome.PASS
    assert right.figure == "5.0e-06 (5.0x fp32 rounding)"
    assert wrong.outcome is Outcome.FAIL
    assert wrong.summary.worst.rounding_ratio is not None
    assert wrong.summary.counts is not None
    assert wrong.summary.counts.failing_outputs == 1
    assert list(wrong.failing) == ["logits"]


def test_eager_that_errs_much_itself_decides_nothing() -> None:
    found = judged(output(figures(0.1, 0.1)))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "eager's own fp32 is off its fp64" in found.sentence


def test_a_missing_output_is_worse_than_any_number() -> None:
    missing = OutputMeasurement("hidden", FormDifference("missing", actual="'logits'"))
    found = judged(missing, output(figures(5e-5, 1e-6)))
    assert found.sentence == "output 'hidden' is missing; the backend returned 'logits' (worst of 2 failing outputs)"


def test_top1_answers_are_counted_over_all_calls() -> None:
    terms = Terms(ParityBudget(Tolerance(top1=0.98)), Precision.FP32, {"logits": Share(97, 100)})
    found = judged(output(replace(figures(0.0, 0.0), difference=off(0.1), top1=Share(0, 1)), top1=True), terms=terms)
    assert found.outcome is Outcome.FAIL
    assert "97 of 100 positions over all calls of the test" in found.sentence


def test_what_is_asked_hangs_on_what_is_known() -> None:
    terms = replace(DEFAULT, in_full=False)
    first = questions(OutputMeasurement("logits"), terms)
    assert first.likely is not None
    passing = OutputMeasurement("logits", figures(5e-6, 1e-6), asked=first)
    assert questions(passing, terms) == first
    failing = OutputMeasurement("logits", figures(5e-5, 1e-6), asked=first)
    more = questions(failing, terms)
    assert more.relative
    assert more.top1
    assert more.excess is None
    last = questions(replace(failing, asked=more), terms)
    assert last.excess is not None
    assert questions(replace(failing, asked=last), terms) == replace(last, elsewhere=True)


def test_a_limit_on_every_element_asks_for_the_worst() -> None:
    terms = Terms(ParityBudget(Tolerance(rtol=0.0, atol=1e-3)), Precision.FP32)
    asked = questions(OutputMeasurement("logits", figures(1e-2, 1e-6), asked=ParityQuestions()), terms)
    assert asked.worst == (0.0, 1e-3)
    worst = WorstElement(0.0, 1e-3, 40.0, 4e-2, 1e-3, exceeded=True, index=(1, 2))
    excess = Excess(3, (1, 2), 1.04, 1.0)
    found = judged(output(replace(figures(1e-2, 1e-6), worst=worst, excess=excess, largest_relative=0.04)), terms=terms)
    assert found.outcome is Outcome.FAIL
    assert found.sentence.startswith("'logits' differs by 4.0e-02 at [1, 2], allowed 1.0e-03")
    assert found.evidence[0] == "logits: 3 of 10000 elements (0.03 %) differ by more than up to 1.0e-03"
