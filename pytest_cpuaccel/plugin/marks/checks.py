"""Checks of a test's marks: before anything runs, and after a test that used no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.errors import BackendUnavailableError, CpuaccelError, UsageError
from pytest_cpuaccel.plugin.dynamic_fixtures import may_ask
from pytest_cpuaccel.plugin.fixture_names import takes_score_items, uses_model
from pytest_cpuaccel.plugin.marks.budgets import budgets_of
from pytest_cpuaccel.plugin.marks.names import on_test_itself
from pytest_cpuaccel.plugin.marks.narrowing import check_narrowing
from pytest_cpuaccel.plugin.stash import SETTINGS
from pytest_cpuaccel.plugin.unparametrized import is_test_case

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.core.budget import Budgets
    from pytest_cpuaccel.plugin.selection import BackendSelection


def check_marks(item: pytest.Item, backend: str, selection: BackendSelection) -> None:
    """Check a test's marks before anything runs.

    A mark on the test itself must have something to judge; a mark on its class, module or package applies only to tests
    there that use a model.

    Raises:
        UsageError: a mark without meaning, or one that can't judge anything in the test.
        BackendUnavailableError: the latency budget compares with a backend that isn't installed; with
            ``--cpu-missing=skip`` the test is skipped instead.
    """
    check_narrowing(item, selection.known)
    if not uses_model(item):
        if not may_ask(item):
            _refuse_marks(item, _way_to_use(item))
        return
    if "accuracy_budget" in on_test_itself(item) and not takes_score_items(item) and not may_ask(item):
        raise UsageError(f"{item.nodeid}: @accuracy_budget judges what score_items found; take it as argument")
    budgets = budgets_of(item, backend, selection.known)
    if backend in selection.known and unmet_requirement(selection.known[backend]):
        return  # the fixture reports it
    try:
        versus_of(item, budgets, selection)
    except BackendUnavailableError as missing:
        if item.config.stash[SETTINGS].missing == "fail":
            raise
        item.add_marker(pytest.mark.skip(reason=str(missing)))


def check_something_is_judged(item: pytest.Item) -> None:
    """Check that a test that used no model has no mark of its own that judges one.

    Raises:
        UsageError: it has one; the text says how to use a model.
    """
    _refuse_marks(item, f"nothing that the test did is judged by it: {_way_to_use(item)}")


def versus_of(item: pytest.Item, budgets: Budgets, selection: BackendSelection) -> Backend:
    """Return the backend that the latency budget of a test compares with.

    Raises:
        UsageError: there is none of that name.
        BackendUnavailableError: it isn't installed.
    """
    try:
        return selection.named(budgets.latency.vs if budgets.latency else "eager")
    except CpuaccelError as mistake:
        raise type(mistake)(f"{item.nodeid}: @latency_budget(vs=): {mistake}") from None


def _refuse_marks(item: pytest.Item, advice: str) -> None:
    for name in on_test_itself(item)[:1]:
        raise UsageError(f"{item.nodeid}: @{name} judges calls of cpu_model or cpu_accelerate; {advice}")


def _way_to_use(item: pytest.Item) -> str:
    if is_test_case(item):
        return "bring one by an autouse fixture: @pytest.fixture(autouse=True) def model(self, cpu_model): ..."
    if not isinstance(item, pytest.Function):
        return f"a {type(item).__name__} has neither: take the mark off"
    namesake = "; the cpu_model here is another fixture of that name" if "cpu_model" in item.fixturenames else ""
    return f"take one as argument{namesake}"
