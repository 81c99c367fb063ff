"""A report: what every form of it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run

Environment = Mapping[str, Scalar | Sequence[str]]


@dataclass(frozen=True)
class Report:
    """``rows`` stand in the order of the backends, then of the tests; ``notes`` are for the user.

    ``failures`` are sentences that say why the run failed though no test did.
    """

    run: Run
    environment: Environment
    rows: Sequence[Row]
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()
