"""What an upgrade does to each call of a suite, in one word, and to the suite as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.report.row import Row

Effect = Literal["same", "faster", "slower", "other answers", "not told"]
"""``same``: no slower than allowed, and not shown to be faster. ``not told``: it could not be compared."""

SAME, WORSE, NOT_TOLD = 0, 1, 2
"""Exit codes."""


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
        return self.effect in ("slower", "other answers")


def effects(rows: Iterable[Row]) -> Iterator[Affected]:
    """Yield what was found of each call that both environments were asked for."""
    for row in rows:
        verdicts = {verdict.kind: verdict for verdict in row.result.verdicts}
        answers, environment = verdicts.get("answers"), verdicts.get("environment")
        if answers is None and environment is None:
            continue
        effect, decisive = _effect(answers, environment)
        why = "" if effect in ("same", "faster") or decisive is None else decisive.sentence
        yield Affected(row.test, row.result.backend, row.result.call, effect, _ratio(environment), why)


def exit_code(found: Sequence[Affected]) -> int:
    """Return 1 where something is worse, 2 where something could not be told or nothing was compared, else 0."""
    if any(each.is_worse for each in found):
        return WORSE
    return NOT_TOLD if not found or any(each.effect == "not told" for each in found) else SAME


def summary(found: Sequence[Affected]) -> str:
    """Return the counts in one line."""
    order: tuple[Effect, ...] = ("same", "faster", "slower", "other answers", "not told")
    counts = {effect: sum(each.effect == effect for each in found) for effect in order}
    return ", ".join(f"{count} {effect}" for effect, count in counts.items() if count) or "nothing was compared"


def _effect(answers: Verdict | None, environment: Verdict | None) -> tuple[Effect, Verdict | None]:
    if answers is not None and answers.outcome is Outcome.FAIL:
        return "other answers", answers
    if environment is not None and environment.outcome is Outcome.FAIL:
        return "slower", environment
    for verdict in (answers, environment):
        if verdict is not None and verdict.outcome is Outcome.INCONCLUSIVE:
            return "not told", verdict
    return ("faster" if _is_faster(environment) else "same"), environment


def _is_faster(environment: Verdict | None) -> bool:
    found = None if environment is None else environment.measurement
    if not isinstance(found, EnvironmentMeasurement) or found.race is None or found.race.shown is not Shown.BELOW:
        return False
    return found.race.interval[1] < 1


def _ratio(environment: Verdict | None) -> str:
    found = None if environment is None else environment.measurement
    if not isinstance(found, EnvironmentMeasurement) or found.race is None or found.race.estimate is None:
        return ""
    return str(found.race.estimate)


def names_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return what differs between the environments, as the first verdict that knows tells it."""
    for row in rows:
        for verdict in row.result.verdicts:
            if isinstance(verdict.measurement, (AnswersMeasurement, EnvironmentMeasurement)):
                return verdict.measurement.environments.changes
    return ()
