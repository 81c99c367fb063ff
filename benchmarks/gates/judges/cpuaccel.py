"""Our gate, as ``@pytest.mark.latency_budget(max_slowdown=...)`` runs it."""

from __future__ import annotations

from benchmarks.gates.judges.match import Match
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.judge.latency import outcome_of
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.race import race


def judge(match: Match) -> Ruling:
    """Race the sides; the seconds include the rebuilding that confirms a FAIL."""
    found = race(match.sides, limit=match.limit, rebuild=match.rebuild, config=RaceConfig(seed=match.seed))
    assert found.shown is not None
    return Ruling("cpuaccel", outcome_of(found.shown), found.ratio, found.seconds)
