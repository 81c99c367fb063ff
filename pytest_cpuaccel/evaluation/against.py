"""A session against another environment: both run the suite in processes of their own, and this one compares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pytest_cpuaccel.builder.fingerprint import inputs_digest, inputs_signature, weights_stamp
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.census_diff import census_diff
from pytest_cpuaccel.core.errors import BusyError, CpuaccelError
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    Environments,
    OfCandidate,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.side_answers import SideAnswers, first_token, largest_move
from pytest_cpuaccel.evaluation.side_resources import Place, resources
from pytest_cpuaccel.exchange.census import read_census
from pytest_cpuaccel.exchange.fields import Fields
from pytest_cpuaccel.judge.environment import judge_answers, judge_environment, judge_resources
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.measure.latency.crew import Crew, Crews
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_race import race_crews
from pytest_cpuaccel.recording.workload import Workload
from pytest_cpuaccel.sides.answers_file import read_answers
from pytest_cpuaccel.sides.processes import NotStandingError, Processes
from pytest_cpuaccel.sides.side_process import CalledWorkload, Ended, LostSideError, UnfitSideError

_MOST_SHOWN = 200

Standing = tuple[CalledWorkload, ...]
"""What a test that stands by on one side called there."""


@dataclass(frozen=True)
class AgainstSettings:
    """``limit`` is the most that a call may take with the candidate, over the reference; ``race`` of each race.

    ``is_candidate_here``: the candidate is the environment of this session, in which the test came to be judged.
    """

    environments: Environments
    limit: float
    race: CrewRaceConfig
    is_candidate_here: bool = False


@dataclass(frozen=True)
class _Pair:
    """Where each side has a workload."""

    candidate: Place
    reference: Place


@dataclass(frozen=True)
class _Obstacle:
    """Why sides can't be compared; ``alone`` tells how the test ends with the candidate and not with the reference."""

    sentence: str
    alone: OfCandidate = ""


@dataclass
class Against:
    """Both environments for one session.

    ``alone()`` is a context in which nothing else runs on this machine, ``busy(text)`` one that shows what takes long.
    """

    candidate: Processes
    reference: Processes
    settings: AgainstSettings
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    busy: Callable[[str], contextlib.AbstractContextManager[None]]
    _test: tuple[str, str | None] | None = None
    _found: tuple[Standing, Standing] | _Obstacle | None = None

    @contextlib.contextmanager
    def test(self, test: str, following: str | None) -> Iterator[None]:
        """Have processes run a test as soon as something is to be known of it, and end it with this context."""
        self._test, self._found = (test, following), None
        try:
            yield
        finally:
            self._test = None
            for processes in (self.candidate, self.reference):
                processes.leave()

    def verdicts(self, workload: Workload, evaluation: Evaluation, comparisons: Comparisons) -> Iterator[Verdict]:
        """Yield the verdicts on a workload's answers, latency and resources with the candidate against the reference.

        Those after the answers are left out where the candidate's alone are wrong.
        """
        about = f"{evaluation.backend.name}: {workload.label}: "
        for verdict in self._verdicts(workload, evaluation, comparisons):
            yield replace(verdict, sentence=f"{about}{verdict.sentence}")
            if verdict.outcome is Outcome.FAIL and verdict.kind == "answers":
                return

    def end(self) -> None:
        """End all processes."""
        self.candidate.end()
        self.reference.end()

    def _verdicts(self, workload: Workload, evaluation: Evaluation, comparisons: Comparisons) -> Iterator[Verdict]:
        places = self._places(workload, evaluation)
        if isinstance(places, _Obstacle):
            nothing = EnvironmentMeasurement(self.settings.environments, self.settings.limit)
            yield judge_environment(replace(nothing, obstacle=places.sentence, alone=places.alone))
            return
        if evaluation.budgets.parity is not None:
            verdict = self._answers(workload, comparisons, places)
            yield self._with_kernels(verdict, places) if verdict.outcome is Outcome.FAIL else verdict
        yield self._with_kernels(judge_environment(self._race(places)), places)
        if evaluation.budgets.memory is not None or evaluation.budgets.startup is not None:
            found = self._resources(places, evaluation.budgets)
            if found.resources or found.obstacle:
                yield judge_resources(found)

    def _places(self, workload: Workload, evaluation: Evaluation) -> _Pair | _Obstacle:
        """Where both sides have the workload, or why they can't be compared."""
        if self._found is None:
            self._found = self._stand()
        if isinstance(self._found, _Obstacle):
            return self._found
        places = []
        for side, processes in zip(self._found, (self.candidate, self.reference), strict=True):
            place = _place(side, workload, evaluation)
            if isinstance(place, str):
                return _Obstacle(f"with {processes.name} {place}")
            places.append(Place(processes, place))
        return _Pair(*places)

    def _stand(self) -> tuple[Standing, Standing] | _Obstacle:
        """What the test called on each side, where it stands by now; or why it does not."""
        ours, theirs = self._run(self.candidate), self._run(self.reference)
        if isinstance(theirs, _Obstacle):
            return replace(ours if isinstance(ours, _Obstacle) else theirs, alone="")
        if not isinstance(ours, _Obstacle):
            return ours, theirs
        if self.settings.is_candidate_here:  # what keeps it from running in a process of its own is no fault of it
            return replace(ours, alone="")
        if ours.alone == "fails":  # once more: it may have failed by chance
            again = self._run(self.candidate)
            if not isinstance(again, _Obstacle):
                return again, theirs
            return again if again.alone == "fails" else replace(again, alone="")
        return ours

    def _run(self, processes: Processes) -> Standing | _Obstacle:
        assert self._test is not None
        try:
            with self.busy(f"running the test with {processes.name}"):
                return processes.run(*self._test, 1)
        except NotStandingError as instead:
            return _obstacle(processes.name, instead.ended)
        except LostSideError as lost:
            return _Obstacle(str(lost), "" if isinstance(lost, UnfitSideError) else "fails")
        except CpuaccelError as refusal:
            return _Obstacle(str(refusal))

    def _answers(self, workload: Workload, comparisons: Comparisons, places: _Pair) -> Verdict:
        nothing = AnswersMeasurement(self.settings.environments)
        if comparisons.state:
            kept = f"the model keeps state from call to call ({', '.join(comparisons.state)})"
            return judge_answers(replace(nothing, obstacle=kept), Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
        try:
            ours, theirs = (
                SideAnswers(workload.calls, read_answers(place.processes.answers(place.workload)))
                for place in (places.candidate, places.reference)
            )
            candidate, reference = (side.worst(comparisons.comparer) for side in (ours, theirs))
        except CpuaccelError as refusal:
            told = replace(nothing, obstacle=str(refusal))
            return judge_answers(told, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
        wrong = {
            (Outcome.FAIL, Outcome.PASS): places.candidate,
            (Outcome.PASS, Outcome.FAIL): places.reference,
        }.get((candidate.outcome, reference.outcome))
        eager = None if wrong is None else _of_eager(wrong, workload, comparisons)
        measured = AnswersMeasurement(
            self.settings.environments,
            candidate.figure,
            reference.figure,
            largest_move(ours, theirs),
            first_token(ours, theirs),
            "" if eager is None else eager.figure,
        )
        return judge_answers(measured, candidate.outcome, reference.outcome, None if eager is None else eager.outcome)

    def _race(self, places: _Pair) -> EnvironmentMeasurement:
        nothing = EnvironmentMeasurement(self.settings.environments, self.settings.limit)

        def grow(count: int) -> Crews:
            crews = []
            for place in (places.candidate, places.reference):
                with self.busy(f"running the test in {count} processes with {place.processes.name}"):
                    place.processes.grow(count)
                crews.append(Crew(tuple(place.processes.sides(place.workload, count))))
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

    def _resources(self, places: _Pair, budgets: Budgets) -> ResourcesMeasurement:
        nothing = ResourcesMeasurement(self.settings.environments, self.settings.limit)
        try:
            with self.alone(), self.busy("starting fresh processes of both environments"):
                found = tuple(resources(places.candidate, places.reference, budgets, nothing.limit))
                return replace(nothing, resources=found)
        except BusyError:
            raise
        except CpuaccelError as refusal:
            return replace(nothing, obstacle=str(refusal))

    def _with_kernels(self, verdict: Verdict, places: _Pair) -> Verdict:
        """A verdict with the kernels that changed; with their times too where the latency did."""
        try:
            before, after = (
                place.processes.ask("kernels", {"workload": place.workload}, _census)
                for place in (places.reference, places.candidate)
            )
        except CpuaccelError:
            return verdict
        if before is None or after is None:
            return verdict
        lines = census_diff(before, after, with_times=_is_other_speed(verdict))
        return replace(verdict, evidence=(*verdict.evidence, *(f"kernels: {line}" for line in lines)))


def _of_eager(place: Place, workload: Workload, comparisons: Comparisons) -> Comparison | None:
    """How far the eager model of a side is off this one's; None where it can't answer."""
    try:
        answers = read_answers(place.processes.answers(place.workload, of_eager=True))
        return SideAnswers(workload.calls, answers).worst(comparisons.comparer)
    except CpuaccelError:
        return None


def _obstacle(name: str, ended: Ended) -> _Obstacle:
    """How a test ended in an environment, in one sentence."""
    phase, _, outcome = ended.how.partition(" ")
    if outcome == "failed":
        how = {"call": "the test fails", "collection": "the test can't be collected"}.get(phase, f"its {phase} fails")
        return _Obstacle(f"with {name} {how}: {ended.sentence}", "fails")
    if outcome == "skipped":
        return _Obstacle(f"with {name} the test is skipped: {ended.sentence.removeprefix('Skipped: ')}", "is skipped")
    if ended.how == "passed":
        return _Obstacle(f"with {name} the test does not come to be judged")
    return _Obstacle(f"with {name} {ended.sentence}")


def _census(found: Fields) -> KernelCensus | None:
    return found.optional("answer", read_census)


def _is_other_speed(verdict: Verdict) -> bool:
    found = verdict.measurement
    if not isinstance(found, EnvironmentMeasurement) or found.race is None:
        return False
    return found.race.shown is Shown.ABOVE or found.race.interval[1] < 1


def _place(side: Standing, workload: Workload, evaluation: Evaluation) -> int | str:
    """Where a side has a workload, with the same inputs and weights; or why it has none."""
    own = evaluation.backend.name
    alike = [at for at, each in enumerate(side) if each.label == workload.label and each.backend == own]
    wanted = tuple(inputs_digest(call.inputs) for call in workload.calls)
    found = [at for at in alike if side[at].inputs == wanted]
    if not alike:
        return f"the test makes no call {workload.label}"
    if not found:
        return f"the test's {workload.label} takes other inputs{_other_inputs(side[alike[0]], workload)}"
    weights = weights_stamp(evaluation.model)
    same = [at for at in found if side[at].weights == weights]
    return same[0] if same else "the model has other weights: call torch.manual_seed before it is made at random"


def _other_inputs(called: CalledWorkload, workload: Workload) -> str:
    """What differs between the inputs by name, type and shape; advice where only values do."""
    ours, theirs = (set(each.split("; ")) for each in (inputs_signature(workload.sample.inputs), called.signature))
    only = {"there": theirs - ours, "here": ours - theirs}
    told = [f"{', '.join(sorted(some))} {where}" for where, some in only.items() if some]
    return f": {'; '.join(told)}"[:_MOST_SHOWN] if told else " of the same shapes: seed what the test draws at random"
