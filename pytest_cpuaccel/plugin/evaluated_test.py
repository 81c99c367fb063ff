"""A test that uses a model: it is evaluated once, when its body has run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest

from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, EagerRaisesError, UsageError
from pytest_cpuaccel.plugin.evaluation import evaluate
from pytest_cpuaccel.plugin.marks.budgets import budgets_of
from pytest_cpuaccel.plugin.marks.names import judged
from pytest_cpuaccel.plugin.stash import choice_of
from pytest_cpuaccel.plugin.tracebacks import at
from pytest_cpuaccel.plugin.unsupported import REFUSAL, reason_to_skip, skips

if TYPE_CHECKING:
    from pytest_cpuaccel.core.budget import AccuracyBudget
    from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest


@dataclass
class EvaluatedTest:
    """A test and its models."""

    item: pytest.Item
    models: ModelsUnderTest
    _is_over: bool = False
    _calls: int = 0
    _body: FrameType | None = None

    def see(self) -> None:
        """Keep the frame of the test's body, which calls the model now, so that a debugger can show it afterwards.

        Its locals stay alive too, so only a debugger should need this.
        """
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == str(self.item.path):
                self._body = frame
            frame = frame.f_back

    def evaluate(self, *, refused: bool = False) -> None:
        """Evaluate the test, unless that was done or its body failed; if it was ``refused``, what it called before.

        An exception that eager alone would raise is raised unchanged. Other errors get a traceback that ends
        in the test's body, so that ``--pdb`` stops there.
        """
        if self._is_over or (_has_failed(self.item) and not refused):
            return
        self._is_over = True
        self._calls = self.models.calls
        try:
            evaluate(self.item, self.models, refused=refused)
        except EagerRaisesError as error:
            raised: BaseException = error.error
        except (CpuaccelError, pytest.fail.Exception) as error:
            if self._body is None:
                raise
            raised = error.with_traceback(at(self._body))
        else:
            return
        raise raised

    def evaluate_within_test_case(self) -> None:
        """Have unittest evaluate the test with its body, so that ``expectedFailure`` counts the verdict in."""
        case: Any = getattr(self.item, "instance", None)
        run_body = getattr(case, "_callTestMethod", None)
        if run_body is None:
            return

        def run_body_and_evaluate(method: Any) -> None:
            try:
                run_body(method)
                self.evaluate()
            except BuildError as error:
                if not skips(self.item.config, error):
                    raise
                refusal = error
            else:
                return
            self.evaluate(refused=True)
            self.item.stash[REFUSAL] = refusal
            raise SkipTest(reason_to_skip(refusal))  # unittest takes pytest's own for an error, which may be expected

        case._callTestMethod = run_body_and_evaluate

    def close(self) -> None:
        """End it with the test.

        Raises:
            UsageError: the model was called after the test had been judged.
        """
        self._body = None
        late = self.models.calls - self._calls
        self.models.close()
        if self._is_over and late and judged(self.item):
            raise UsageError(
                f"{self.item.nodeid}: the model was called {late} time{'s' * (late > 1)} after the test had been "
                "judged, when fixtures were torn down; call it in the test"
            )


def evaluated_test(item: pytest.Item, models: ModelsUnderTest) -> EvaluatedTest:
    """Return a test that begins to use models."""
    models.compared = partial(_compared_outputs, item, models.backend.name)
    models.accuracy = partial(_accuracy_budget, item, models.backend.name)
    test = EvaluatedTest(item, models)
    if item.config.getoption("usepdb"):
        models.seen = test.see
    return test


def _compared_outputs(item: pytest.Item, backend: str) -> tuple[str, ...] | None:
    """Return the patterns of the outputs that a test's mark compares (none: all); None if it compares nothing."""
    parity = budgets_of(item, backend, choice_of(item.config).known).parity
    return parity.only if parity else None


def _accuracy_budget(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    """Return what a test's scores are judged by; None if nothing does."""
    return budgets_of(item, backend, choice_of(item.config).known).accuracy


def _has_failed(item: pytest.Item) -> bool:
    """Tell whether unittest caught an exception in the body; pytest keeps it until it makes the report."""
    return bool(getattr(item, "_excinfo", None))
