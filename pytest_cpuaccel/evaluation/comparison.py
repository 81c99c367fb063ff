"""The comparison of one call: measured, judged, and looked into where it fails."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.diagnose.hints import hints
from pytest_cpuaccel.judge.parity.comparison import Comparison, judge_comparison
from pytest_cpuaccel.judge.parity.questions import questions
from pytest_cpuaccel.judge.parity.terms import Terms, check_names, check_rows
from pytest_cpuaccel.measure.parity.leaves import select
from pytest_cpuaccel.measure.parity.outputs import Outputs, paired
from pytest_cpuaccel.measure.parity.references import References


def compare(actual: Any, references: References, inputs: Inputs, terms: Terms) -> Comparison:
    """Compare what a backend returned for ``inputs`` with what eager returns.

    Raises:
        UsageError: the budget names an output or a mask that the call does not have.
    """
    budget, pairing = terms.budget, paired(actual, references, terms.precision)
    check_names(pairing.names, budget)
    if budget.only:
        pairing = select(pairing, budget.only)
    if not pairing.missing:
        check_rows({pair.name: pair.expected.shape for pair in pairing.pairs if _is_of_floats(pair.expected)}, terms)
    outputs = Outputs.of(pairing, inputs, budget.mask, terms.precision)
    measurement = outputs.measure(partial(questions, terms=terms), unrounded=terms.are_default)
    found = judge_comparison(measurement, terms)
    if found.outcome is not Outcome.FAIL:
        return found
    return replace(found, diagnoses=hints(outputs, found.failing))


def _is_of_floats(expected: Any) -> bool:
    return isinstance(expected, torch.Tensor) and expected.is_floating_point() and not expected.is_nested
