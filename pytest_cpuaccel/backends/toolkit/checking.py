"""What a built model must hold to before anybody calls it."""

from __future__ import annotations

from typing import Any

from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.parity.comparison import References, compare

_SAME = ParityBudget(Tolerance(sqnr_db=26.0))
"""A relative error of 5 %: float16 and the tanh form of GELU stay below a tenth of it, a wrong graph seldom does."""


def check_built(built: BuiltModel, threads: int, method: Method) -> None:
    """Check that a build runs with the threads that all others have, and takes the call it was made for.

    Raises:
        BuildError: it does not.
    """
    if built.threads != threads:
        raise BuildError(f"runs with {built.threads} threads, was told {threads}; a comparison would be unfair")
    if method == "generate" and built.generate is None:
        raise BuildError("has no generate(); narrow the test with @pytest.mark.cpu_backends(exclude=...)")


def check_unchanged(before: Any, after: Any, inputs: Inputs, rewriter: str) -> None:
    """Check that a graph which was rewritten to be faster still answers ``inputs`` as it did.

    Raises:
        BuildError: it answers something else, by more than any rounding.
    """
    found = compare(after, References(before), inputs=inputs, precision=Precision.FP32, budget=_SAME)
    if found.outcome is Outcome.FAIL:
        raise BuildError(f"{rewriter} breaks this model: against the graph before it, {found.sentence}")
