"""A session against another environment: both run the suite in processes of their own, and this one compares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_cpuaccel.builder.fingerprint import inputs_digest, weights_stamp
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.judge.environment import judge_answers, judge_environment
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.measure.latency.crew import Crew, Crews
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_race import race_crews
from pytest_cpuaccel.recording.workload import Workload
from pytest_cpuaccel.sides.answers_file import read_answers
from pytest_cpuaccel.sides.processes import NotStandingError, Processes
from pytest_cpuaccel.sides.side_process import Workload as Standing

_LEAST = 4
"""Processes a side that a race begins with."""


@dataclass(frozen=True)
class AgainstSettings:
    """``limit`` is the most that a call may take here, over there; ``race`` the settings of each race."""

    limit: float
    race: CrewRaceConfig
    changes: tuple[str, ...] = ()


@dataclass
class Against:
    """Both environments for one session. ``alone()`` is a context in which nothing else runs on this machine."""

    here: Processes
    there: Processes
    settings: AgainstSettings
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    _test: tuple[str, str | None] | None = None
    _obstacle: str | None = None
    _found: tuple[tuple[Standing, ...], tuple[Standing, ...]] | None = None
    _raced: dict[int, CrewRaceMeasurement] = field(default_factory=dict)

    @contextlib.contextmanager
    def test(self, test: str, following: str | None) -> Iterator[None]:
        """Have processes run a test as soon as something is to be known of it, and end it with this context."""
        self._test, self._obstacle, self._found = (test, following), None, None
        self._raced.clear()
        try:
            yield
        finally:
            self._test = None
            for processes in (self.here, self.there):
                with contextlib.suppress(CpuaccelError):
                    processes.leave()

    def verdicts(self, workload: Workload, evaluation: Evaluation, comparer: Comparer) -> Iterator[Verdict]:
        """Yield the verdicts on a workload's answers and latency against the other environment."""
        about = f"{evaluation.backend.name}: {workload.label}: "
        for verdict in self._verdicts(workload, evaluation, comparer):
            yield replace(verdict, sentence=f"{about}{verdict.sentence}")

    def end(self) -> None:
        """End all processes."""
        self.here.end()
        self.there.end()

    def _verdicts(self, workload: Workload, evaluation: Evaluation, comparer: Comparer) -> Iterator[Verdict]:
        name, limit, changes = self.there.name, self.settings.limit, self.settings.changes
        places, obstacle = self._places(workload, evaluation)
        if obstacle:
            if evaluation.budgets.parity is not None:
                yield judge_answers(
                    AnswersMeasurement(name, changes, obstacle=obstacle), (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
                )
            if evaluation.budgets.parity is not None or evaluation.budgets.latency is not None:
                yield judge_environment(EnvironmentMeasurement(name, limit, changes, obstacle=obstacle))
            return
        if evaluation.budgets.parity is not None:
            yield self._answers(workload, comparer, places)
        yield judge_environment(self._race(places))

    def _places(self, workload: Workload, evaluation: Evaluation) -> tuple[tuple[int, int], str]:
        """Where both sides have the workload, or why they can't be compared."""
        if self._found is None and self._obstacle is None:
            self._obstacle = self._stand()
        if self._found is None:
            return (0, 0), self._obstacle or ""
        here, there = self._found
        wanted = [inputs_digest(call.inputs) for call in workload.calls]
        weights = weights_stamp(evaluation.model)
        places = []
        for side, processes in ((here, self.here), (there, self.there)):
            same_label = [at for at, each in enumerate(side) if each.label == workload.label]
            found = [at for at in same_label if list(side[at].inputs) == wanted]
            if not same_label:
                return (0, 0), f"with {processes.name} the test makes no call like {workload.label}"
            if not found:
                return (0, 0), f"with {processes.name} the test's {workload.label} takes other inputs"
            if side[found[0]].weights != weights:
                return (0, 0), f"with {processes.name} the model has other weights"
            places.append(found[0])
        return (places[0], places[1]), ""

    def _stand(self) -> str | None:
        """Have the test stand by on both sides; return why it does not."""
        assert self._test is not None
        processes = self.here
        try:
            here = processes.run(*self._test, 1)
            processes = self.there
            self._found = here, processes.run(*self._test, 1)
        except NotStandingError as instead:
            how = f"{instead.ended.how}: " if instead.ended.how else ""
            return f"with {processes.name} {how}{instead.ended.sentence}"
        except CpuaccelError as lost:
            return str(lost)
        return None

    def _answers(self, workload: Workload, comparer: Comparer, places: tuple[int, int]) -> Verdict:
        name, changes = self.there.name, self.settings.changes
        try:
            here, there = (
                read_answers(processes.answers(place))
                for processes, place in zip((self.here, self.there), places, strict=True)
            )
        except CpuaccelError as refusal:
            nothing = AnswersMeasurement(name, changes, obstacle=str(refusal))
            return judge_answers(nothing, (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE))
        ours = _worst(comparer, workload.calls, here)
        theirs = _worst(comparer, workload.calls, there)
        moves = [_move(*pair) for pair in zip(here, there, strict=True)]
        move = None if None in moves else max(found for found in moves if found is not None)
        measured = AnswersMeasurement(name, changes, ours.figure, theirs.figure, move)
        return judge_answers(measured, (ours.outcome, theirs.outcome))

    def _race(self, places: tuple[int, int]) -> EnvironmentMeasurement:
        settings, name = self.settings, self.there.name

        def grow(count: int) -> Crews:
            self.here.grow(count)
            self.there.grow(count)
            return Crews(
                Crew(tuple(self.here.sides(places[0], count))), Crew(tuple(self.there.sides(places[1], count)))
            )

        try:
            with self.alone():
                race = race_crews(grow, limit=settings.limit, config=settings.race)
        except NotStandingError as instead:
            obstacle = f"with it the test did not stand by again: {instead.ended.sentence}"
            return EnvironmentMeasurement(name, settings.limit, settings.changes, obstacle=obstacle)
        except CpuaccelError as lost:
            return EnvironmentMeasurement(name, settings.limit, settings.changes, obstacle=str(lost))
        return EnvironmentMeasurement(name, settings.limit, settings.changes, race)


def _worst(comparer: Comparer, calls: Sequence[Call], answers: Sequence[Answer]) -> Comparison:
    return max(
        (_compared(comparer, call, answer) for call, answer in zip(calls, answers, strict=True)),
        key=lambda found: found.outcome.severity,
    )


def _compared(comparer: Comparer, call: Call, answer: Answer) -> Comparison:
    asked = replace(call, output=answer.output, written=answer.written)
    if call.method == "generate":
        return comparer.compare_generated(asked)
    return comparer.compare(asked, comparer.references(call))


def _move(one: Answer, other: Answer) -> float | None:
    """The largest difference between two answers; None where they are no tensors of the same shapes."""
    ours, theirs = dict(tree.named_leaves(one.output)), dict(tree.named_leaves(other.output))
    largest = 0.0
    for name, leaf in ours.items():
        match = theirs.get(name)
        if not hasattr(leaf, "dtype"):
            continue
        if match is None or leaf.shape != match.shape:
            return None
        if leaf.numel():
            largest = max(largest, float((leaf.double() - match.double()).abs().max()))
    return largest
