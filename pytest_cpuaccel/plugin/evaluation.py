"""The evaluation of one test when its body is through: its budgets, then results, then failure, skip or warnings."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.errors import BuildError, UsageError
from pytest_cpuaccel.plugin.failures import fail_or_skip
from pytest_cpuaccel.plugin.findings import findings_for
from pytest_cpuaccel.plugin.fixture_names import takes_score_items
from pytest_cpuaccel.plugin.marks.budgets import budgets_of
from pytest_cpuaccel.plugin.marks.checks import versus_of
from pytest_cpuaccel.plugin.marks.names import judged, on_test_itself
from pytest_cpuaccel.plugin.stash import FOLLOWING, STANDBY, against_of, choice_of, session_of
from pytest_cpuaccel.plugin.unsupported import skips
from pytest_cpuaccel.report.properties import properties_of

if TYPE_CHECKING:
    from pytest_cpuaccel.core.result import Result
    from pytest_cpuaccel.evaluation.evaluation import Evaluation
    from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest


def evaluate(item: pytest.Item, models: ModelsUnderTest, *, refused: bool = False) -> None:
    """Judge a test's use of its models by its marks, and fail or skip it accordingly.

    Each result goes to the test's report and to other plugins as soon as it is complete, so that an interrupt keeps it.
    A test that was ``refused`` is held to what it had called before alone.

    Raises:
        BuildError: a backend refuses to build or run the model again. Verdicts found before count if that skips.
            It refused every call, and that skips.
    """
    if STANDBY in item.config.stash:
        item.config.stash[STANDBY].stand_by(list(models.evaluations(Budgets(), models.backend)), item)
        return
    results, findings = [], findings_for(item)
    try:
        with contextlib.closing(_results(item, models, refused)) as found:
            for number, result in enumerate(found):
                findings.add(result)
                item.user_properties.extend(properties_of(number, findings.results[-1]))
                item.ihook.pytest_cpuaccel_result(item=item, result=result)
                results.append(result)
    except BuildError as error:
        if skips(item.config, error):
            fail_or_skip(item, results)
        raise
    finally:
        session = session_of(item.config)
        findings.notes += session.take_notes()
        findings.needs |= session.context.tolerances.take()
    fail_or_skip(item, results)


def _results(item: pytest.Item, models: ModelsUnderTest, refused: bool) -> Generator[Result, None, None]:
    from pytest_cpuaccel.evaluation.test import evaluate_test

    if not judged(item):
        return
    selection, backend = choice_of(item.config), models.backend.name
    budgets = budgets_of(item, backend, selection.known)
    evaluations = list(models.evaluations(budgets, versus_of(item, budgets, selection)))
    if refused:
        evaluations = [_without_open_scores(evaluation) for evaluation in evaluations if evaluation.calls]
    elif not evaluations and budgets != Budgets():
        used = "score_items" if takes_score_items(item) else "cpu_accelerate"
        raise UsageError(f"{item.nodeid}: @{judged(item)[0]}: the test never called {used}; nothing was judged")
    refusals = [each.refusal for each in evaluations if each.refusal and skips(item.config, each.refusal)]
    if refusals:
        evaluations = [each for each in evaluations if not each.refusal]
    held = [replace(evaluation, test=item.nodeid, budgets=_holding(item, evaluation)) for evaluation in evaluations]
    against, following = against_of(item.config), item.config.stash[FOLLOWING]
    context = replace(session_of(item.config).context, against=against)
    with contextlib.ExitStack() as standing:
        if against is not None:
            standing.enter_context(against.test(item.nodeid, following.nodeid if following else None))
        yield from evaluate_test(held, context)
    if refusals:
        raise refusals[0]


def _without_open_scores(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation without its accuracy budget if the refusal came before there were scores."""
    if evaluation.scores.given:
        return evaluation
    return replace(evaluation, budgets=replace(evaluation.budgets, accuracy=None))


def _holding(item: pytest.Item, evaluation: Evaluation) -> Budgets:
    """Return the budgets, without accuracy if only a class or module asks for it and this test has other budgets."""
    asked = "accuracy_budget" in on_test_itself(item) or takes_score_items(item) or evaluation.scores.given
    others = replace(evaluation.budgets, accuracy=None)
    return evaluation.budgets if asked or others == type(others)() else others
