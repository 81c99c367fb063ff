"""Tests that pytest gives no parameters: they run once, under one backend."""

from __future__ import annotations

import sys

import pytest

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.plugin.marks.narrowing import Narrowing
from pytest_cpuaccel.plugin.parametrize import backend_name, has_fixture_parameter, none_running, running_names
from pytest_cpuaccel.plugin.selection import BackendSelection
from pytest_cpuaccel.plugin.stash import Standing, choice_of, selection_for


def sole_backend(item: pytest.Item) -> Backend:
    """Return the backend of a test without parameters: the first of those that it knows."""
    known = selection_for(item)
    return (known if known.chosen else choice_of(item.config)).first


def renew_backend(item: pytest.Item, standing: Standing) -> None:
    """End the backend's fixture if it was set up for tests of another folder that run under another backend.

    pytest keeps one fixture for all tests without a parameter for it.
    """
    keeps_it = not has_fixture_parameter(item) and not has_fixture_parameter(standing.item)
    if keeps_it and sole_backend(item) != sole_backend(standing.item):
        standing.fixture.finish(standing.request)


def reason_to_skip(item: pytest.Item, selection: BackendSelection) -> str:
    """Return why a test runs under no backend; "" if it runs under one."""
    for skipped in (getattr(item, "obj", None), getattr(item, "cls", None)):  # by @unittest.skip
        if getattr(skipped, "__unittest_skip__", False) is True:
            return str(getattr(skipped, "__unittest_skip_why__", "")) or "unittest skips it"
    narrowing = Narrowing.of(item)
    given = backend_name(item)
    if given is not None:
        return "" if narrowing.admits(given) else f"@cpu_backends does not allow {given}"
    running = running_names(selection, narrowing)
    if not running:
        return none_running(selection)
    return selection.missing.get(running[0], "") if set(running) <= set(selection.missing) else ""


def check_lone(item: pytest.Item, selection: BackendSelection) -> None:
    """Check that a test without parameters, which runs under one backend, should run under no other.

    Raises:
        UsageError: it does; the text says how to run the others.
    """
    if backend_name(item) is not None:
        return
    runs_under = selection.first.name
    running = [name for name in running_names(selection, Narrowing.of(item)) if name not in selection.missing]
    if running == [runs_under]:
        return
    another = next((name for name in running if name != runs_under), runs_under)
    narrowed = f", or allow {runs_under} alone by @pytest.mark.cpu_backends({runs_under!r})"
    raise UsageError(
        f"{item.nodeid}: should run under {', '.join(running)}, and could under {runs_under} alone, as {_kind(item)}; "
        f"give each backend a run of its own, such as --cpu-backends={another}"
        + (narrowed if runs_under in running else "")
    )


def check_runs(item: pytest.Item) -> None:
    """Skip a test that runs under no backend.

    Raises:
        UsageError: it has no parameters, and should run under another backend too.
    """
    selection = selection_for(item)
    reason = reason_to_skip(item, selection)
    if reason:
        pytest.skip(reason)
    check_lone(item, selection)


def is_test_case(item: pytest.Item) -> bool:
    """Tell whether a test is a method of ``unittest.TestCase``."""
    unittest, cls = sys.modules.get("unittest"), getattr(item, "cls", None)
    return unittest is not None and isinstance(cls, type) and issubclass(cls, unittest.TestCase)


def _kind(item: pytest.Item) -> str:
    if is_test_case(item):
        return "pytest gives methods of unittest.TestCase no parameters"
    if isinstance(item, pytest.Function):
        return "request.getfixturevalue hides the model from pytest, to which an argument cpu_backend would show it"
    return f"pytest gives a {type(item).__name__} no parameters"
