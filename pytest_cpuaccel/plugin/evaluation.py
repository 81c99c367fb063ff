"""A evaluated: one test held to its marks after its body ran."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.errors import (
    BackendUnavailableError,
    CpuaccelError,
    CpuaccelWarning,
    EagerRaisesError,
    UsageError,
)
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.plugin import mark_budgets as budgets
from pytest_cpuaccel.plugin import marks
from pytest_cpuaccel.plugin.dynamic_fixtures import may_ask
from pytest_cpuaccel.plugin.mark_arguments import check_backends
from pytest_cpuaccel.plugin.mark_selection import check_narrowing
from pytest_cpuaccel.plugin.parametrize import uses_model
from pytest_cpuaccel.plugin.stash import SETTINGS, choice_of, session_of
from pytest_cpuaccel.plugin.tracebacks import at, to_the_test, without_ours
from pytest_cpuaccel.plugin.unparametrized import is_test_case
from pytest_cpuaccel.report.row import is_of_result, note_property, properties_of

if TYPE_CHECKING:
    from pytest_cpuaccel.core.result import Result
    from pytest_cpuaccel.evaluation.evaluation import Evaluation
    from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest
    from pytest_cpuaccel.plugin.selection import BackendSelection

_BUDGETS: pytest.StashKey[tuple[str, list[pytest.Mark], Budgets]] = pytest.StashKey()
"""What the marks of a test allow under a backend, and those marks."""


@dataclass
class EvaluatedTest:
    """What a test that uses a model is to be judged by: the models that it works at, judged once."""

    item: pytest.Item
    models: ModelsUnderTest
    _is_over: bool = False
    _calls: int = 0
    _body: FrameType | None = None

    def see(self) -> None:
        """Keep the frame of the test's body, which calls the model now: a debugger can look at it when it is through.

        Its locals live as long, so that nobody but a debugger should ask for this.
        """
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == str(self.item.path):
                self._body = frame
            frame = frame.f_back

    def hold(self) -> None:
        """Judge the test, unless that was done or its body failed.

        What eager alone would have raised is raised as it is. A debugger finds the rest in the test's body.
        """
        if self._is_over or _has_failed(self.item):
            return
        self._is_over = True
        self._calls = self.models.calls
        try:
            judged(self.item, self.models)
        except EagerRaisesError as error:
            raised: BaseException = error.error
        except (CpuaccelError, pytest.fail.Exception) as error:
            if self._body is None:
                raise
            raised = error.with_traceback(at(self._body))
        else:
            return
        raise raised

    def hold_within_test_case(self) -> None:
        """Have unittest judge the test with its body, so that ``expectedFailure`` counts the verdict in."""
        case: Any = getattr(self.item, "instance", None)
        run_body = getattr(case, "_callTestMethod", None)
        if run_body is None:
            return

        def run_body_and_judge(method: Any) -> None:
            run_body(method)
            self.hold()

        case._callTestMethod = run_body_and_judge

    def close(self) -> None:
        """End it with the test.

        Raises:
            UsageError: the model was called after the test had been judged.
        """
        self._body = None
        late = self.models.calls - self._calls
        self.models.close()
        if self._is_over and late and marks.judged(self.item):
            raise UsageError(
                f"{self.item.nodeid}: the model was called {late} time{'s' * (late > 1)} after the test had been "
                "judged, when fixtures were torn down; call it in the test"
            )


def open_hearing(item: pytest.Item, models: ModelsUnderTest) -> EvaluatedTest:
    """Return a evaluated for a test that begins; what an earlier try of it left on its report is taken off."""
    item.user_properties[:] = [found for found in item.user_properties if not is_of_result(found[0])]
    models.compared = partial(_compared_outputs, item, models.backend.name)
    evaluated = EvaluatedTest(item, models)
    if item.config.getoption("usepdb"):
        models.seen = evaluated.see
    return evaluated


def _compared_outputs(item: pytest.Item, backend: str) -> tuple[str, ...] | None:
    """The patterns of the outputs that a test's mark compares (none: all); None where it compares nothing."""
    parity = budgets_of(item, backend, choice_of(item.config)).parity
    return parity.only if parity else None


def check_marks(item: pytest.Item, backend: str, selection: BackendSelection) -> None:
    """Check a test's marks before anything runs.

    A mark on the test itself must have something to judge; one on its class, module or package holds for the tests
    there that use a model.

    Raises:
        UsageError: a mark that has no meaning, or that nothing in the test could be judged by.
        BackendUnavailableError: the latency budget compares with a backend that isn't installed; with
            ``--cpu-missing=skip`` the test is skipped instead.
    """
    check_narrowing(item, selection.known)
    if not uses_model(item):
        if not may_ask(item):
            _refuse_marks(item, _way_to_use(item))
        return
    if "accuracy_budget" in marks.on_test_itself(item) and not _scores(item) and not may_ask(item):
        raise UsageError(f"{item.nodeid}: @accuracy_budget judges what score_items found; take it as argument")
    budgets_of(item, backend, selection)
    if backend in selection.known and unmet_requirement(selection.known[backend]):
        return  # which its fixture says
    try:
        versus_name(item, backend, selection)
    except BackendUnavailableError as missing:
        if item.config.stash[SETTINGS].missing == "fail":
            raise
        item.add_marker(pytest.mark.skip(reason=str(missing)))


def check_something_is_judged(item: pytest.Item) -> None:
    """Check that a test which ran and used no model has no mark of its own that judges one.

    Raises:
        UsageError: it has; the text says how a model is used.
    """
    _refuse_marks(item, f"nothing that the test did is judged by it: {_way_to_use(item)}")


def budgets_of(item: pytest.Item, backend: str, selection: BackendSelection) -> Budgets:
    """Return what the marks of a test allow under a backend; they are read anew only where there are others now.

    Raises:
        UsageError: a mark that has no meaning.
    """
    found = [mark for name in marks.JUDGED for mark in item.iter_markers(name)]
    known = item.stash.get(_BUDGETS, None)
    if known is None or known[0] != backend or [*map(id, known[1])] != [*map(id, found)]:
        known = item.stash[_BUDGETS] = (backend, found, _read_budgets(item, backend, selection))
    return known[2]


def _read_budgets(item: pytest.Item, backend: str, selection: BackendSelection) -> Budgets:
    for name in marks.judged(item):
        check_backends(item, name, selection.known)
    return Budgets(
        budgets.parity_budget(item, backend),
        budgets.accuracy_budget(item, backend),
        budgets.latency_budget(item, backend),
        budgets.startup_budget(item, backend),
        budgets.memory_budget(item, backend),
    )


def versus_name(item: pytest.Item, backend: str, selection: BackendSelection) -> str:
    """Return the backend that the latency budget compares with.

    Raises:
        UsageError: there is none of that name.
        BackendUnavailableError: it isn't installed.
    """
    budget = budgets_of(item, backend, selection).latency
    name = budget.vs if budget else "eager"
    try:
        return selection.named(name).name
    except CpuaccelError as mistake:
        raise type(mistake)(f"{item.nodeid}: @latency_budget(vs=): {mistake}") from None


def judged(item: pytest.Item, models: ModelsUnderTest) -> None:
    """Judge what a test left on its models; put the results on its report, and fail or skip it accordingly.

    Results are put there one by one, so that an interrupt keeps those that are complete.
    """
    from pytest_cpuaccel.report.failure import failure_text

    session = session_of(item.config)
    results = []
    try:
        for number, result in enumerate(_results(item, models)):
            item.user_properties.extend(properties_of(number, result))
            results.append(result)
    finally:
        item.user_properties.extend(note_property(note) for note in session.take_notes())
    failed = failure_text(results, Outcome.FAIL)
    undecided = failure_text(results, Outcome.INCONCLUSIVE)
    policy = item.config.stash[SETTINGS].inconclusive
    refused = policy == "warn" and not _warned(item, results)
    if failed or (undecided and (policy == "fail" or refused)):
        pytest.fail("\n".join(filter(None, (failed, undecided and f"INCONCLUSIVE {undecided}"))), pytrace=False)
    if undecided and policy == "skip":
        pytest.skip(f"INCONCLUSIVE {undecided}")


def failure_of(error: CpuaccelError, item: pytest.Item) -> BaseException:
    """Return what fails a test with an error's one line, after ``file:line: `` where a line of the test led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(item.path)]
    place = f"{item.path.name}:{lines[-1]}: " if lines else ""
    failure = pytest.fail.Exception(f"{place}{error}", pytrace=False)
    failure.__context__, failure.__suppress_context__ = error, True
    frames = error.__traceback__
    return failure.with_traceback(to_the_test(frames, item.path) or without_ours(frames))


def _results(item: pytest.Item, models: ModelsUnderTest) -> Iterator[Result]:
    from pytest_cpuaccel.evaluation.test import judge_test

    if not marks.judged(item):
        return
    selection = choice_of(item.config)
    allowed = budgets_of(item, models.backend.name, selection)
    versus = selection.named(versus_name(item, models.backend.name, selection))
    evaluations = models.evaluations(allowed, versus)
    held = [replace(evaluation, test=item.nodeid, budgets=_holding(item, evaluation)) for evaluation in evaluations]
    if not held and allowed != Budgets():
        used = "score_items" if _scores(item) else "cpu_accelerate"
        raise UsageError(f"{item.nodeid}: @{marks.judged(item)[0]}: the test never called {used}; nothing was judged")
    yield from judge_test(held, session_of(item.config).context)


def _holding(item: pytest.Item, evaluation: Evaluation) -> Budgets:
    """What is allowed, without the accuracy that a class or module asks for where this test is held to other marks."""
    asked = "accuracy_budget" in marks.on_test_itself(item) or _scores(item) or evaluation.scores.actual
    others = replace(evaluation.budgets, accuracy=None)
    return evaluation.budgets if asked or others == type(others)() else others


def _warned(item: pytest.Item, results: Iterable[Result]) -> bool:
    """Warn of each INCONCLUSIVE verdict; tell whether that went well, and not as an error under ``-W error``."""
    well = True
    for verdict in (verdict for result in results for verdict in result.verdicts):
        if verdict.outcome is Outcome.INCONCLUSIVE:
            try:
                item.warn(CpuaccelWarning(f"INCONCLUSIVE {verdict.sentence}"))
            except CpuaccelWarning:
                well = False
    return well


def _scores(item: pytest.Item) -> bool:
    return "score_items" in getattr(item, "fixturenames", ())


def _refuse_marks(item: pytest.Item, advice: str) -> None:
    for name in marks.on_test_itself(item)[:1]:
        raise UsageError(f"{item.nodeid}: @{name} judges calls of cpu_model or cpu_accelerate; {advice}")


def _way_to_use(item: pytest.Item) -> str:
    if is_test_case(item):
        return "bring one by an autouse fixture: @pytest.fixture(autouse=True) def model(self, cpu_model): ..."
    if not isinstance(item, pytest.Function):
        return f"a {type(item).__name__} has neither: take the mark off"
    namesake = "; the cpu_model here is another fixture of that name" if "cpu_model" in item.fixturenames else ""
    return f"take one as argument{namesake}"


def _has_failed(item: pytest.Item) -> bool:
    """Tell whether unittest caught something in the body; pytest keeps that until it makes the report."""
    return bool(getattr(item, "_excinfo", None))
