"""What an upgrade does to each call of a suite, in one word, and to the suite as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Kind, Outcome, Verdict
from pytest_cpuaccel.report.row import Row

Effect = Literal["same", "faster", "slower", "needs more", "other answers", "broken", "refused", "not told"]
"""``same``: no slower than allowed, and not shown to be faster. ``needs more``: a longer start, more memory or disk.
``broken``: the test fails with the upgrade alone. ``refused``: it is skipped with the upgrade alone. ``not told``: it
could not be compared."""

_WORSE = ("slower", "needs more", "other answers", "broken")

SAME, WORSE, NOT_TOLD = 0, 1, 2
"""Exit codes."""


_EFFECTS: Mapping[Kind, Effect] = {
    "answers": "other answers",
    "environment": "slower",
    "resources": "needs more",
}
"""What a FAIL of a kind of verdict says."""


@dataclass(frozen=True)
class Affected:
    """One call under one backend, what the upgrade does to it, and the sentence that says so."""

    test: str
    backend: str
    call: str
    effect: Effect
    ratio: str
    why: str

    @property
    def is_worse(self) -> bool:
        """Return whether it speaks against the upgrade."""
        return self.effect in _WORSE


def effects(rows: Iterable[Row]) -> Iterator[Affected]:
    """Yield what was found of each call that both environments were asked for."""
    for row in rows:
        verdicts = {verdict.kind: verdict for verdict in row.result.verdicts}
        environment = verdicts.get("environment")
        found = [verdicts[kind] for kind in _EFFECTS if kind in verdicts]
        if not found:
            continue
        effect, decisive = _effect(found)
        why = "" if effect in ("same", "faster") or decisive is None else decisive.sentence
        yield Affected(row.test, row.result.backend, row.result.call, effect, _ratio(environment), why)


@dataclass(frozen=True)
class Upgrade:
    """What it does to each call. ``left_out`` is the number of tests of which nothing could be compared.

    ``changes`` are the distributions that differ, such as ``onnxruntime 1.22.1 -> 1.31.1``.
    """

    affected: tuple[Affected, ...]
    changes: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def worse(self) -> list[Affected]:
        """Return what speaks against it."""
        return [each for each in self.affected if each.is_worse]

    @property
    def exit_code(self) -> int:
        """Return 1 where something is worse, 2 where something could not be told or nothing was compared, else 0."""
        if self.worse:
            return WORSE
        is_open = any(each.effect in ("not told", "refused") for each in self.affected)
        return NOT_TOLD if is_open or not self.affected else SAME

    @property
    def summary(self) -> str:
        """Return the counts in one line."""
        order: tuple[Effect, ...] = get_args(Effect)
        counts = {effect: sum(each.effect == effect for each in self.affected) for effect in order}
        return ", ".join(f"{count} {effect}" for effect, count in counts.items() if count) or "nothing was compared"


def upgrade_of(rows: Sequence[Row]) -> Upgrade:
    """Return what an upgrade does to a suite, from the rows of its run."""
    affected = tuple(effects(rows))
    left_out = {row.test for row in rows} - {each.test for each in affected}
    return Upgrade(affected, _changes(rows), len(left_out))


def _effect(found: Sequence[Verdict]) -> tuple[Effect, Verdict]:
    """The effect, and the verdict that it comes from: the first of the worst."""
    decisive = max(found, key=lambda verdict: verdict.outcome.severity)
    if decisive.outcome is Outcome.FAIL:
        return ("broken" if _alone(decisive) else _EFFECTS[decisive.kind]), decisive
    if decisive.outcome is Outcome.INCONCLUSIVE:
        return ("refused" if _alone(decisive) else "not told"), decisive
    return ("faster" if any(map(_is_faster, found)) else "same"), decisive


def _alone(verdict: Verdict) -> str:
    """How the test ends with the upgrade alone."""
    found = verdict.measurement
    return found.alone if isinstance(found, EnvironmentMeasurement) else ""


def _is_faster(verdict: Verdict) -> bool:
    found = verdict.measurement
    if not isinstance(found, EnvironmentMeasurement) or found.race is None or found.race.shown is not Shown.BELOW:
        return False
    return found.race.interval[1] < 1


def _ratio(environment: Verdict | None) -> str:
    found = None if environment is None else environment.measurement
    if not isinstance(found, EnvironmentMeasurement) or found.race is None or found.race.estimate is None:
        return ""
    return str(found.race.estimate)


def _changes(rows: Iterable[Row]) -> tuple[str, ...]:
    """What differs between the environments, as the first verdict that knows tells it."""
    for row in rows:
        for verdict in row.result.verdicts:
            if isinstance(verdict.measurement, (AnswersMeasurement, EnvironmentMeasurement, ResourcesMeasurement)):
                return verdict.measurement.environments.changes
    return ()
