"""The models of one test, and the records of their calls, for judging."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from torch import nn

from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.calibration import calibration_of
from pytest_cpuaccel.builder.eager import eager_asked, run_eager
from pytest_cpuaccel.builder.keep_fp32 import keep_fp32_of
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.random_generators import Generators
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import AccuracyBudget, Budgets
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.evaluation.argument_names import OF_CPU_ACCELERATE, ArgumentNames
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.evaluation.quantisation import UNSAID, Quantisation
from pytest_cpuaccel.evaluation.reference_cache import check_agreement, forget_casts
from pytest_cpuaccel.evaluation.scored_items import ScoredItems
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.evaluation.scoring import Scoring
from pytest_cpuaccel.evaluation.scoring_text import name_of
from pytest_cpuaccel.evaluation.sequential_scoring import SequentialScoring, Side
from pytest_cpuaccel.recording.cpu_model import CpuModel, begun_of, calls_of, close, errors_of, raised_of, start_of


@dataclass
class _Work:
    """The calls of one model, which is compared with ``reference``: the model itself unless it is a candidate."""

    model: nn.Module
    reference: nn.Module
    recorder: CpuModel
    given: Quantisation
    scores: Scores = field(default_factory=Scores)


@dataclass(repr=False)
class ModelsUnderTest:
    """Hands out models under ``backend`` and records their calls.

    ``resolve(given, name)`` returns the model of the user's value for ``name``: a module, a folder or a hub id.
    ``compared()`` are the patterns of the outputs that the test compares (none: all); None where it compares nothing.
    ``accuracy()`` is what the test's scores are judged by; None where nothing judges them.
    ``seen()`` is called by every call of a model that begins. ``show`` gets lines on slow work within ``builder.busy``.
    """

    backend: Backend
    builder: Builder
    resolve: Callable[[object, str], nn.Module]
    compared: Callable[[], tuple[str, ...] | None] = lambda: None
    accuracy: Callable[[], AccuracyBudget | None] = lambda: None
    seen: Callable[[], None] = lambda: None
    show: Callable[[str], None] = say_nothing
    _works: list[_Work] = field(default_factory=list)

    def accelerate(
        self,
        source: object,
        reference: object = None,
        given: Quantisation = UNSAID,
        names: ArgumentNames = OF_CPU_ACCELERATE,
    ) -> CpuModel:
        """Return a model under the backend; the same stand-in for the same model.

        With a ``reference``, another model in eager mode, ``source`` is a candidate to take its place.
        ``given`` says how it is to be quantised. ``names`` are the user's names for all of this.

        Raises:
            UsageError: ``source`` is no model and leads to none; what is ``given`` has no meaning, or is not what
                the model was given before.
            EagerError: the model can't be a reference.
        """
        with process_kept():
            return self._work(source, reference, given, names).recorder

    def score(self, recorder: CpuModel, scoring: Scoring, items: ScoredItems) -> list[float] | float:
        """Score every item under the backend, and under the reference beside it; return the backend's scores.

        An item that was left out has NaN. Of a metric its value is returned. ``recorder`` is what :meth:`accelerate`
        returned.

        Raises:
            UsageError: the function returns something else than what is asked for, or calls another model than the
                one that it is given; scores were added to others that stand for themselves.
        """
        work = next(work for work in self._works if work.recorder is recorder)
        scoring.check_takes(recorder)
        if work.scores.given and (scoring.stands_alone or work.scores.stand_alone):
            raise UsageError(
                "score_items: was called before in this test; with stop_early= or metric= give it all items in one call"
            )
        before = begun_of(recorder)
        sides = self._sides(work)
        sequence = SequentialScoring(scoring, items, sides, self.accuracy(), self.show)
        with self.builder.busy(f"scoring {items.count} items"):
            found = sequence.run()
        if begun_of(recorder) == before:
            raise UsageError(
                f"score_items: {name_of(scoring.fn)} never called the model that it was given as its first argument, "
                "so that nothing was scored under the backend"
            )
        work.scores = work.scores.plus(found)
        return sequence.in_given_order() if found.by_metric is None else found.by_metric.score

    def _sides(self, work: _Work) -> tuple[Side, Side]:
        generators = Generators.now()

        @contextmanager
        def backend() -> Iterator[None]:
            nonlocal generators
            generators = Generators.now()
            yield

        @contextmanager
        def eager() -> Iterator[None]:
            with process_kept(), untouched(work.reference), eager_asked():
                generators.restore()  # so that a function that draws random numbers asks both the same
                yield

        return Side(work.recorder, self.backend.name, backend), Side(work.reference, "eager", eager)

    def evaluations(self, budgets: Budgets, versus: Backend) -> Iterator[Evaluation]:
        """Yield an evaluation for each model; accuracy only for models that were scored."""
        scored = any(work.scores.given for work in self._works)
        for work in self._works:
            own = replace(budgets, accuracy=None) if scored and not work.scores.given else budgets
            calls = calls_of(work.recorder)
            raised = raised_of(work.recorder)
            yield Evaluation(
                work.model,
                work.reference,
                self.backend,
                versus,
                calls,
                work.scores,
                own,
                raised=raised,
                errors=errors_of(work.recorder),
                start=start_of(work.recorder),
            )

    @property
    def calls(self) -> int:
        """Return the number of the test's calls, including those that raised."""
        return sum(begun_of(work.recorder) for work in self._works)

    @property
    def returned(self) -> int:
        """Return the number of the test's calls that returned."""
        return self.calls - sum(raised_of(work.recorder) for work in self._works)

    @property
    def label(self) -> str:
        """Return the name of the latest model; "" before there is one."""
        return type(self._works[-1].model).__name__ if self._works else ""

    def close(self) -> None:
        """Refuse any further call, because it would not be judged; free the records."""
        for work in self._works:
            close(work.recorder)
            for model in (work.model, work.reference):
                forget_casts(model)

    def _work(self, source: object, reference: object, given: Quantisation, names: ArgumentNames) -> _Work:
        for value, name in ((source, names.model), (reference, names.reference)):
            if issubclass(type(value), CpuModel):
                raise UsageError(f"{name}: that is a model under a backend already; give it the model itself")
        is_candidate = reference is not None and reference is not source
        model = self.resolve(source, names.model)
        held_to = self.resolve(reference, names.reference) if is_candidate else model
        for known in self._works:
            if known.model is model and known.reference is held_to:
                _check_same(given, known.given, type(model).__name__, names)
                return known
        data = None if given.calibration is None else calibration_of(given.calibration, names.calibration)
        keep = None if given.keep_fp32 is None else keep_fp32_of(given.keep_fp32, model, names.keep_fp32)
        for either in (model, held_to):
            self.builder.begin(either)
            forget_casts(either)
            self.builder.calibrate(either, data)
            self.builder.keep_fp32(either, keep if either is model else None)
        recorder = CpuModel(model, self.backend, self.builder, partial(self._check_reference, held_to), self._see)
        self._works.append(_Work(model, held_to, recorder, given))
        return self._works[-1]

    def _see(self) -> None:
        self.seen()

    def _check_reference(self, reference: nn.Module, call: Call) -> None:
        """Check that a call which the backend refuses could have been judged at all."""
        only = self.compared()
        if call.method == "generate":
            run_eager(reference, "generate", repeatable(call.inputs))
        elif only is not None:
            check_agreement(reference, call.inputs, only)


def _check_same(given: Quantisation, before: Quantisation, model: str, names: ArgumentNames) -> None:
    """Check that a model is not to be quantised otherwise than earlier in a test."""
    if given.calibration is not None and given.calibration is not before.calibration:
        raise UsageError(f"{names.calibration}: {model} was given other data, or none, earlier in this test")
    if given.keep_fp32 is not None and given.keep_fp32 != before.keep_fp32:
        raise UsageError(f"{names.keep_fp32}: {model} was given other modules, or none, earlier in this test")
