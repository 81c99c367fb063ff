"""An A/A check as flat facts."""

from __future__ import annotations

from math import inf

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.latency import SelfCheck
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number


def flat(found: SelfCheck | None) -> dict[str, Scalar]:
    """Return the numbers, none where there was no check; what could not be measured is left out."""
    if found is None:
        return {}
    return known(
        {
            "aa_ratio": found.ratio,
            "aa_pairs": found.pairs,
            "aa_seconds": found.seconds,
            "aa_slowdown": None if found.slowdown == inf else found.slowdown,
        }
    )


def read(facts: Facts) -> SelfCheck | None:
    """Return the check that facts tell of, without its interval; None where there was none."""
    ratio, slowdown = number(facts, "aa_ratio"), number(facts, "aa_slowdown")
    if ratio is None:
        return None
    return SelfCheck(
        ratio=ratio,
        interval=(0.0, inf),
        slowdown=inf if slowdown is None else slowdown,
        pairs=count(facts, "aa_pairs") or 0,
        seconds=number(facts, "aa_seconds") or 0.0,
    )
