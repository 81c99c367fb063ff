"""A session against another environment: both run the suite in processes of their own, and this one compares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from pytest_cpuaccel.builder.fingerprint import inputs_digest, weights_stamp
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import BusyError, CpuaccelError
from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement, Environments
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
from pytest_cpuaccel.sides.side_process import CalledWorkload

Standing = tuple[CalledWorkload, ...]
"""What a test that stands by on one side called there."""


@dataclass(frozen=True)
class AgainstSettings:
    """``limit`` is the most that a call may take with the candidate, over the reference; ``race`` of each race."""

    environments: Environments
    limit: float
    race: CrewRaceConfig


@dataclass(frozen=True)
class _Pair:
    """One thing for each environment."""

    candidate: int
    reference: int


@dataclass
class Against:
    """Both environments for one session. ``alone()`` is a context in which nothing else runs on this machine."""

    candidate: Processes
    reference: Processes
    settings: AgainstSettings
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    _test: tuple[str, str | None] | None = None
    _found: tuple[Standing, Standing] | str | None = None

    @contextlib.contextmanager
    def test(self, test: str, following: str | None) -> Iterator[None]:
        """Have processes run a test as soon as something is to be known of it, and end it with this context."""
        self._test, self._found = (test, following), None
        try:
            yield
        finally:
            self._test = None
            for processes in (self.candidate, self.reference):
                with contextlib.suppress(CpuaccelError):
                    processes.leave()

    def verdicts(self, workload: Workload, evaluation: Evaluation, comparer: Comparer) -> Iterator[Verdict]:
        """Yield the verdicts on a workload's answers and latency with the candidate against the reference."""
        about = f"{evaluation.backend.name}: {workload.label}: "
        for verdict in self._verdicts(workload, evaluation, comparer):
            yield replace(verdict, sentence=f"{about}{verdict.sentence}")

    def end(self) -> None:
        """End all processes."""
        self.candidate.end()
        self.reference.end()

    def _verdicts(self, workload: Workload, evaluation: Evaluation, comparer: Comparer) -> Iterator[Verdict]:
        places = self._places(workload, evaluation)
        if evaluation.budgets.parity is not None:
            yield self._answers(workload, comparer, places)
        yield judge_environment(self._race(places))

    def _places(self, workload: Workload, evaluation: Evaluation) -> _Pair | str:
        """Where both sides have the workload, or why they can't be compared."""
        if self._found is None:
            self._found = self._stand()
        if isinstance(self._found, str):
            return self._found
        places = []
        for side, processes in zip(self._found, (self.candidate, self.reference), strict=True):
            place = _place(side, workload, evaluation)
            if isinstance(place, str):
                return f"with {processes.name} {place}"
            places.append(place)
        return _Pair(*places)

    def _stand(self) -> tuple[Standing, Standing] | str:
        """What the test called on each side, where it stands by now; or why it does not."""
        assert self._test is not None
        processes = self.candidate
        try:
            ours = processes.run(*self._test, 1)
            processes = self.reference
            return ours, processes.run(*self._test, 1)
        except NotStandingError as instead:
            how = f"{instead.ended.how}: " if instead.ended.how else ""
            return f"with {processes.name} {how}{instead.ended.sentence}"
        except CpuaccelError as lost:
            return str(lost)

    def _answers(self, workload: Workload, comparer: Comparer, places: _Pair | str) -> Verdict:
        environments = self.settings.environments
        if isinstance(places, str):
            nothing = AnswersMeasurement(environments, obstacle=places)
            return judge_answers(nothing, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
        try:
            ours = read_answers(self.candidate.answers(places.candidate))
            theirs = read_answers(self.reference.answers(places.reference))
        except CpuaccelError as refusal:
            nothing = AnswersMeasurement(environments, obstacle=str(refusal))
            return judge_answers(nothing, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
        candidate, reference = (_worst(comparer, workload.calls, answers) for answers in (ours, theirs))
        measured = AnswersMeasurement(environments, candidate.figure, reference.figure, _largest_move(ours, theirs))
        return judge_answers(measured, candidate.outcome, reference.outcome)

    def _race(self, places: _Pair | str) -> EnvironmentMeasurement:
        nothing = EnvironmentMeasurement(self.settings.environments, self.settings.limit)
        if isinstance(places, str):
            return replace(nothing, obstacle=places)

        def grow(count: int) -> Crews:
            crews = []
            for processes, place in ((self.candidate, places.candidate), (self.reference, places.reference)):
                processes.grow(count)
                crews.append(Crew(tuple(processes.sides(place, count))))
            return Crews(*crews)

        try:
            with self.alone():
                return replace(nothing, race=race_crews(grow, limit=nothing.limit, config=self.settings.race))
        except NotStandingError as instead:
            return replace(nothing, obstacle=f"the test did not run there once more: {instead.ended.sentence}")
        except BusyError:
            raise
        except CpuaccelError as lost:
            return replace(nothing, obstacle=str(lost))


def _place(side: Standing, workload: Workload, evaluation: Evaluation) -> int | str:
    """Where a side has a workload, with the same inputs and weights; or why it has none."""
    alike = [at for at, each in enumerate(side) if each.label == workload.label]
    wanted = tuple(inputs_digest(call.inputs) for call in workload.calls)
    found = [at for at in alike if side[at].inputs == wanted]
    if not alike:
        return f"the test makes no call {workload.label}"
    if not found:
        return f"the test's {workload.label} takes other inputs"
    if side[found[0]].weights != weights_stamp(evaluation.model):
        return "the model has other weights"
    return found[0]


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


def _largest_move(ours: Sequence[Answer], theirs: Sequence[Answer]) -> float | None:
    """The largest difference between answers; None where they have tensors of other names or shapes."""
    moves = [_move(*pair) for pair in zip(ours, theirs, strict=True)]
    return None if None in moves else max((move for move in moves if move is not None), default=None)


def _move(one: Answer, other: Answer) -> float | None:
    ours = {name: leaf for name, leaf in tree.named_leaves(one.output) if isinstance(leaf, torch.Tensor)}
    theirs = {name: leaf for name, leaf in tree.named_leaves(other.output) if isinstance(leaf, torch.Tensor)}
    if {name: leaf.shape for name, leaf in ours.items()} != {name: leaf.shape for name, leaf in theirs.items()}:
        return None
    moved = [float((leaf.double() - theirs[name].double()).abs().max()) for name, leaf in ours.items() if leaf.numel()]
    return max(moved, default=0.0)
