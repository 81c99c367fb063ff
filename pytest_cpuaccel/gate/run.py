"""The run of a gate: one model under several backends, one after the other, as rows of reports."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.errors import (
    BackendUnavailableError,
    BuildError,
    BuildFailureError,
    EagerRaisesError,
    Terminated,
    UsageError,
    UserCodeError,
)
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.argument_names import ArgumentNames
from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest
from pytest_cpuaccel.evaluation.session import Session
from pytest_cpuaccel.evaluation.test import evaluate_test
from pytest_cpuaccel.gate.example import Examined
from pytest_cpuaccel.gate.settings import Inconclusive
from pytest_cpuaccel.machine.lock import MachineLock
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.row import Row

_REFUSALS = (BuildError, BackendUnavailableError)


@dataclass(frozen=True)
class Gate:
    """``versus`` is the backend that latencies are compared with; ``budgets(name)`` are those of a backend.

    ``optional`` names the backends that may refuse the model.
    """

    examined: Examined
    session: Session
    lock: MachineLock
    versus: Backend
    budgets: Callable[[str], Budgets]
    inconclusive: Inconclusive
    optional: frozenset[str]

    def check_eager(self) -> None:
        """Check that the model itself takes its examples.

        Raises:
            UsageError: it raises, and the examples were made for it; or it returns no tensor.
            UserCodeError: it raises, and the examples are the user's.
        """
        for number, example in enumerate(self.examined.examples):
            with self.session.on_threads():
                try:
                    output = run_eager(self.examined.model, example.method, example.inputs)
                except EagerRaisesError as error:
                    raise self._mistake(number, error.error) from error.error
                except Terminated:
                    raise
                except SystemExit:
                    raise UsageError(f"{self.examined.name}: {self._class} raises SystemExit when called") from None
            if next(tree.tensors(output), None) is None:
                kind = "None" if output is None else f"a {type(output).__name__}"
                raise UsageError(
                    f"{self.examined.name}: {self._class} returns {kind} without a tensor in it; "
                    "a model is judged by the tensors that it returns"
                )

    @property
    def _class(self) -> str:
        return type(self.examined.model).__name__

    def _mistake(self, number: int, error: Exception) -> UsageError:
        name, model = self.examined.name, self._class
        if self.examined.inputs_are_given:
            return UserCodeError(f"{name}: {model} raises {type(error).__name__} on item {number} of the inputs", error)
        return UsageError(
            f"{name!r}: {model} raises on the inputs that were made for it: {reason(error)}; write a function that "
            "returns the model and inputs of yours, and name it as module:function"
        )

    def rows(self, backends: Sequence[Backend], tell: Callable[[str], None]) -> Generator[Row, None, None]:
        """Yield what is found under each backend, as soon as it is; a backend that refuses the model has a row too.

        ``tell`` gets a line for each backend that is begun, and for each that is finished.

        Raises:
            EagerError: the model can't be a reference.
            UsageError: a budget that its calls can't be held to.
        """
        for backend in backends:
            began, words = time.perf_counter(), Counter[str]()
            tell(f"{backend.name}: begun")
            with contextlib.closing(self._rows(backend)) as found:
                for row in found:
                    words[row.word] += 1
                    yield row
            counted = ", ".join(f"{count} {word}" for word, count in words.items())
            took = format_duration((time.perf_counter() - began) * 1e9)
            tell(f"{backend.name}: {counted or 'nothing judged'}, in {took}")

    def _rows(self, backend: Backend) -> Generator[Row, None, None]:
        models = self.session.models(backend)
        budgets = self.budgets(backend.name)
        models.compared = lambda: budgets.parity.only if budgets.parity else None
        with self.session.on_threads(), self.lock.shared():
            try:
                yield from (self._refused(backend, refusal) for refusal in self._call(models))
                evaluations = list(models.evaluations(budgets, self.versus))
                if any(evaluation.calls for evaluation in evaluations):
                    for result in evaluate_test(evaluations, self.session.context):
                        yield self._judged(backend, result)
            except _REFUSALS as refusal:
                yield self._refused(backend, refusal)
            finally:
                models.close()
                self.session.context.builder.release()

    def _call(self, models: ModelsUnderTest) -> Iterator[Exception]:
        """Call the model with every example, and yield the refusals; after a refused first call no other is made."""
        model = models.accelerate(self.examined.model, names=ArgumentNames("the model"))
        for number, example in enumerate(self.examined.examples):
            given = example.inputs.clone()
            run = model.generate if example.method == "generate" else model
            try:
                run(*given.args, **given.kwargs)
            except _REFUSALS as refusal:
                yield refusal
                if number == 0:
                    return

    def _judged(self, backend: Backend, result: Result) -> Row:
        outcomes = {verdict.outcome for verdict in result.verdicts}
        if Outcome.FAIL in outcomes or (Outcome.INCONCLUSIVE in outcomes and self.inconclusive == "fail"):
            return Row(self._test(backend), "failed", result)
        is_skipped = Outcome.INCONCLUSIVE in outcomes and self.inconclusive == "skip"
        return Row(self._test(backend), "skipped" if is_skipped else "passed", result)

    def _refused(self, backend: Backend, refusal: Exception) -> Row:
        text = str(refusal).removeprefix(f"{backend.name}: ")
        is_failure = isinstance(refusal, BuildFailureError)
        outcome = "skipped" if backend.name in self.optional and not is_failure else "failed"
        nothing = Result(self._class, backend.name, "", ())
        return Row(self._test(backend), outcome, nothing, Ending("error" if is_failure else "refused", text))

    def _test(self, backend: Backend) -> str:
        return f"{self.examined.name}[{backend.name}]"
