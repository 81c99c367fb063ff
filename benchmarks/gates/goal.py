"""The goals that our gate is held to, and how near the results are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.plan import LIMIT, LONG, OURS, SHORT, TIGHT_LIMIT, TIGHT_SLOWDOWN
from benchmarks.gates.speedup import Speedup
from benchmarks.gates.tally import Tally
from benchmarks.gates.trial import Trial
from pytest_cpuaccel.core.verdict import Outcome

_DECIDED = (Outcome.PASS, Outcome.FAIL)


@dataclass(frozen=True)
class Goal:
    """``found`` is empty where nothing was measured, ``met`` then None."""

    claim: str
    found: str
    met: bool | None


@dataclass(frozen=True)
class Comparison:
    """A speed-up measured both ways, many times."""

    model: str
    backend: str
    interleaved: tuple[float, ...]
    isolated: tuple[float, ...]

    @property
    def difference(self) -> float:
        """Return how far the median of the interleaved ones is off, as a share."""
        return median(self.interleaved) / median(self.isolated) - 1


def goals(trials: Sequence[Trial], speedups: Sequence[Speedup]) -> Iterator[Goal]:
    """Yield the goals for one thread, with what was found."""
    ours = [trial for trial in trials if trial.ruling.gate == OURS]
    for condition in CONDITIONS:
        equal = _tally(ours, condition=[condition], slowdown=[0])
        yield _share_goal(f"{condition}: A/A FAIL <= 1 %", equal, Outcome.FAIL, lambda rate: rate <= 0.01)
    yield _share_goal(
        "all conditions: A/A FAIL <= 1 %", _tally(ours, slowdown=[0]), Outcome.FAIL, lambda rate: rate <= 0.01
    )
    slower = _tally(ours, model=SHORT, condition=["quiet"], slowdown=[10])
    yield _share_goal("quiet, calls <= 2 ms, +10 %: FAIL >= 99 %", slower, Outcome.FAIL, lambda rate: rate >= 0.99)
    yield _times_goal("quiet, calls <= 2 ms, +10 %: median <= 0.3 s, p95 <= 3 s", slower, 0.3, 3.0)
    crowded = _tally(ours, model=SHORT, condition=["two-neighbours"], slowdown=[0, 2, 10, 20])
    claim = "two neighbours, calls <= 2 ms, cap 10 s, all but +5 %: INCONCLUSIVE <= 15 %"
    yield _share_goal(claim, crowded, Outcome.INCONCLUSIVE, lambda rate: rate <= 0.15)
    too_slow = _tally(ours, slowdown=[10, 20])
    yield _share_goal("all conditions, +10 and +20 %: PASS <= 1 %", too_slow, Outcome.PASS, lambda rate: rate <= 0.01)
    for condition, cap_s in (("quiet", 10.0), ("one-neighbour", 30.0), ("two-neighbours", 30.0)):
        for slowdown in (0, 10):
            bert = _tally(ours, model=LONG, condition=[condition], slowdown=[slowdown])
            decided = bert.share_within(cap_s, *_DECIDED)
            met = decided.count == decided.total if decided.total else None
            yield Goal(f"{condition}, bert-base, {slowdown:+d} %: decided within {cap_s:g} s", str(decided), met)
    for condition in CONDITIONS:
        tight = _tally(ours, model=SHORT, condition=[condition], limit=TIGHT_LIMIT, slowdown=[TIGHT_SLOWDOWN])
        caught = tight.share_within(5.0, Outcome.FAIL)
        met = caught.rate >= 0.95 if caught.total else None
        yield Goal(f"{condition}, calls <= 2 ms, limit 2 %, +5 %: FAIL within 5 s >= 95 %", str(caught), met)
    compared = comparisons(speedups)
    worst = max((abs(item.difference) for item in compared), default=None)
    found = "" if worst is None else f"at most {worst:.1%} off"
    yield Goal("speed-ups interleaved within 5 % of isolated", found, None if worst is None else worst <= 0.05)


def comparisons(speedups: Sequence[Speedup]) -> list[Comparison]:
    """Return all measurements, by model and backend."""

    def callable_of(item: Speedup) -> tuple[str, str]:
        return item.model, item.backend

    found = []
    for (model, backend), group in groupby(sorted(speedups, key=callable_of), callable_of):
        measured = list(group)
        interleaved = tuple(item.interleaved for item in measured)
        found.append(Comparison(model, backend, interleaved, tuple(item.isolated for item in measured)))
    return found


def _tally(
    trials: Sequence[Trial],
    *,
    slowdown: Collection[int],
    limit: int = LIMIT,
    model: Collection[str] = (*SHORT, *LONG),
    condition: Collection[str] = tuple(CONDITIONS),
) -> Tally:
    return Tally.of(
        trial.ruling
        for trial in trials
        if trial.cell.slowdown in slowdown
        and trial.cell.limit == limit
        and trial.cell.model in model
        and trial.cell.condition in condition
    )


def _share_goal(claim: str, tally: Tally, outcome: Outcome, holds: Callable[[float], bool]) -> Goal:
    share = tally.share(outcome)
    return Goal(claim, str(share), holds(share.rate) if share.total else None)


def _times_goal(claim: str, tally: Tally, median_s: float, p95_s: float) -> Goal:
    if not tally.rulings:
        return Goal(claim, "", None)
    return Goal(claim, f"{tally.times} s", tally.median_s <= median_s and tally.p95_s <= p95_s)
