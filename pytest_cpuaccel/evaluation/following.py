"""Following a parity FAIL to the modules of the model: whether it is done, and in which surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.state.snapshot import in_state
from pytest_cpuaccel.core.diagnosis import Culprit, Diagnosis
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.comparer import Comparer

KEEPS_STATE = "the model keeps state from call to call, so that no call of it can be repeated alone"


def takes_turn(verdict: Verdict, comparer: Comparer, fault: Diagnosis | None, followed: Culprit) -> bool:
    """Tell whether a verdict is to be followed, and count it if so.

    One with a known fault is followed only where the culprit is the one given.
    """
    localizing = comparer.context.localizing
    if verdict.outcome is not Outcome.FAIL or comparer.evaluation.is_of_candidate or not localizing.is_due:
        return False
    if fault is not None and fault.culprit != followed:
        return False
    localizing.count += 1
    return True


@contextmanager
def seeking(what: str, comparer: Comparer) -> Iterator[None]:
    """Show that something is sought under the backend; the process and the model's state are as at the test's start."""
    evaluation, builder = comparer.evaluation, comparer.context.builder
    with (
        builder.busy(f"seeking {what} under {evaluation.backend.name}"),
        process_kept(builder.threads),
        in_state(evaluation.model, evaluation.start),
        upstream.contained(),
    ):
        yield
