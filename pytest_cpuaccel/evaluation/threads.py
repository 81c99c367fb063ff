"""Threads that both sides of a race really ran on, held to what they were told."""

from __future__ import annotations

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.threads import threads_used


def check_threads(sides: Sides, evaluation: Evaluation, told: int) -> dict[str, Scalar]:
    """Return, as facts, how many threads each side ran on, where the kernel tells.

    Fewer than told are no mistake: a small layer isn't worth a second thread.

    Raises:
        BuildError: a side ran on more than it was told, so that a comparison would be unfair.
    """
    facts: dict[str, Scalar] = {}
    for name, backend, call in (
        ("threads_used", evaluation.backend.name, sides.candidate),
        ("reference_threads_used", evaluation.versus.name, sides.reference),
    ):
        used = threads_used(call, told)
        if used is None:
            continue
        if used > told:
            raise BuildError(f"{backend} ran on {used} threads, was told {told}; a comparison would be unfair")
        facts[name] = used
    return facts
