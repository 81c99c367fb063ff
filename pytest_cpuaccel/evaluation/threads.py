"""Threads that backend and reference really ran on, compared with the number that they were given."""

from __future__ import annotations

from pytest_cpuaccel.core.errors import BuildFailureError
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.measure.latency.side import Side, Sides


def check_threads(sides: Sides, evaluation: Evaluation, told: int) -> tuple[int | None, int | None]:
    """Return how many threads the candidate and the reference ran on; None where the kernel does not tell.

    Fewer than given are no mistake: a small layer isn't worth a second thread.

    Raises:
        BuildError: a side ran on more than it was told, so that a comparison would be unfair.
    """
    return (
        _checked(sides.candidate, evaluation.backend.name, told),
        _checked(sides.reference, evaluation.versus.name, told),
    )


def _checked(side: Side, backend: str, told: int) -> int | None:
    used = side.threads_used(told)
    if used is not None and used > told:
        raise BuildFailureError(f"{backend} ran on {used} threads, was told {told}; a comparison would be unfair")
    return used
