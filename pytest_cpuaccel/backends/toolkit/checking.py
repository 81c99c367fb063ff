"""Checks of a built model before it is called."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import judge_comparison
from pytest_cpuaccel.judge.parity.questions import questions
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.outputs import Outputs, paired
from pytest_cpuaccel.measure.parity.references import References

_SAME = Terms(ParityBudget(Tolerance(sqnr_db=26.0)), Precision.FP32)
"""A relative error of 5 %: float16 and the tanh form of GELU stay below a tenth of it, a wrong graph seldom does."""


def check_built(built: BuiltModel, threads: int, method: Method) -> None:
    """Check that a build runs with the threads that all others have, and takes the call it was made for.

    Raises:
        BuildError: it does not.
    """
    if built.threads is None:
        raise BuildFailureError("its build doesn't tell on how many threads it runs; give BuiltModel(..., threads=...)")
    if built.threads != threads:
        raise BuildFailureError(f"runs with {built.threads} threads, was told {threads}; a comparison would be unfair")
    if method == "generate" and built.generate is None:
        raise BuildError("has no generate(); narrow the test with @pytest.mark.cpu_backends(exclude=...)")


def check_unchanged(before: Any, after: Any, inputs: Inputs, rewriter: str) -> None:
    """Check that a graph which was rewritten to be faster still answers ``inputs`` as it did.

    Raises:
        BuildError: it answers something else, by more than any rounding.
    """
    outputs = Outputs.of(paired(after, References(before), _SAME.precision), inputs, None, _SAME.precision)
    found = judge_comparison(outputs.measure(partial(questions, terms=_SAME)), _SAME)
    if found.outcome is Outcome.FAIL:
        raise BuildFailureError(f"{rewriter} breaks this model: against the graph before it, {found.sentence}")
