"""The pytest plugin: options, hooks and fixtures; it translates and decides nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.plugin import hookspecs, marks, tracebacks
from pytest_cpuaccel.plugin import options as settings
from pytest_cpuaccel.plugin.marks import PARAMETER
from pytest_cpuaccel.plugin.reporter import EAGER_ONLY, NAME, Reporter, journal_of
from pytest_cpuaccel.plugin.stash import (
    IS_OURS,
    RUNNING,
    SETTINGS,
    SHARES_MACHINE,
    STANDING,
    Standing,
    check_names,
    choice_of,
    is_addressed,
    is_worker,
    lock_of,
    names_may_come,
    release_builds,
    selection_for,
    session_of,
)

if TYPE_CHECKING:
    from torch import nn

    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.core.fixture_types import Accelerate, CpuModel, ScoreItems
    from pytest_cpuaccel.judge.models_under_test import ModelsUnderTest
    from pytest_cpuaccel.plugin.evaluation import EvaluatedTest

EVALUATED_TEST: pytest.StashKey[EvaluatedTest] = pytest.StashKey()
THREADS: pytest.StashKey[contextlib.ExitStack] = pytest.StashKey()
"""Closed when the test's model is torn down, and at the latest when the test is over, however it ends."""
MISTAKE = "cpuaccel_mistake"


@contextlib.contextmanager
def _usage_errors(config: pytest.Config) -> Iterator[None]:
    """Let a user's mistake end the run as one ``ERROR:`` line, which xdist's controller has to print."""
    try:
        yield
    except CpuaccelError as mistake:
        if is_worker(config):
            config.workeroutput[MISTAKE] = str(mistake)  # type: ignore[attr-defined]
        raise pytest.UsageError(f"cpuaccel: {mistake}") from None


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Let what is wrong with a model, a backend or a value fail its test as one line, without our traceback."""
    try:
        yield
    except CpuaccelError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(tracebacks, tracebacks.__name__)
    for line in marks.DECLARATIONS:
        config.addinivalue_line("markers", line)
    with _usage_errors(config):
        config.stash[SETTINGS] = settings.read_settings(config)
        if config.stash[SETTINGS].backends and not names_may_come(config):
            check_names(config)
        if not is_worker(config):
            settings.check_reports(config.stash[SETTINGS])
            settings.check_baselines(config.stash[SETTINGS])
            config.pluginmanager.register(Reporter(config), NAME)


def pytest_report_header(config: pytest.Config) -> list[str]:
    chosen = config.stash[SETTINGS]
    if not chosen.backends:
        return [f"cpuaccel: {EAGER_ONLY}"]
    from pytest_cpuaccel.report.header import header

    selection = choice_of(config)
    awaited = [f"cpuaccel: {', '.join(selection.unknown)}: for a conftest.py below to add"] if selection.unknown else []
    return [*header(selection.chosen, selection.missing, chosen.threads), *awaited]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if PARAMETER not in metafunc.fixturenames:
        return
    from pytest_cpuaccel.plugin.parametrize import parametrize

    with contextlib.suppress(CpuaccelError):  # said when all is collected, where it can end the run
        parametrize(metafunc, selection_for(metafunc.definition))


def pytest_itemcollected(item: pytest.Item) -> None:
    if PARAMETER in getattr(item, "fixturenames", ()):
        from pytest_cpuaccel.plugin.parametrize import number_backend

        number_backend(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    with _usage_errors(config):
        if config.stash[SETTINGS].backends:
            check_names(config)
        if not _is_ours(config, items):
            return
        config.stash[IS_OURS] = config.stash[SHARES_MACHINE] = True
        from pytest_cpuaccel.plugin.evaluation import check_marks
        from pytest_cpuaccel.plugin.parametrize import backend_name, uses_backend
        from pytest_cpuaccel.plugin.unparametrized import sole_backend

        lock_of(config).check()
        selection = choice_of(config)
        for item in items:
            if uses_backend(item) or marks.on_test_itself(item):
                check_marks(item, backend_name(item) or sole_backend(item).name, selection)


def _is_ours(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Tell whether the marks of our names are ours: the run is addressed to us, or a test uses our fixtures."""
    if any(PARAMETER in getattr(item, "fixturenames", ()) for item in items):
        return True
    if not any(map(marks.on_test_itself, items)):
        return False
    from pytest_cpuaccel.plugin.dynamic_fixtures import asks_for_ours

    return is_addressed(config) or any(map(asks_for_ours, items))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """End xdist's run when a worker found a user's mistake."""
    mistake = getattr(node, "workeroutput", {}).get(MISTAKE)
    if mistake:
        raise pytest.UsageError(f"cpuaccel: {mistake}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stand still while the clock of another xdist worker, or of another session, runs."""
    item.config.stash[RUNNING] = item
    with contextlib.ExitStack() as item.stash[THREADS]:
        if SHARES_MACHINE not in item.config.stash:
            return (yield)
        from pytest_cpuaccel.report.row import note_property

        with lock_of(item.config).shared() as refusal:
            if refusal:
                item.user_properties.append(note_property(f"{item.nodeid} ran beside a clock: {refusal}"))
            return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if STANDING in item.config.stash:
        from pytest_cpuaccel.plugin.unparametrized import renew_backend

        renew_backend(item, item.config.stash[STANDING])
    if SHARES_MACHINE in item.config.stash and PARAMETER in getattr(item, "fixturenames", ()):
        from pytest_cpuaccel.plugin.parametrize import uses_model

        _check_backend(item)
        if uses_model(item):
            session_of(item.config)  # for what it refuses, before a fixture of the user's meets it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge a test of any kind when its body is through, still in the call phase, so that xfail and --pdb apply."""
    if EVALUATED_TEST in item.stash:
        item.stash[EVALUATED_TEST].hold_within_test_case()
    try:
        result = yield
        if EVALUATED_TEST in item.stash:
            item.stash[EVALUATED_TEST].hold()
        elif IS_OURS in item.config.stash:
            from pytest_cpuaccel.plugin.evaluation import check_something_is_judged

            check_something_is_judged(item)
    except KeyboardInterrupt:
        reporter = journal_of(item.config)
        if reporter:
            reporter.add(item.nodeid, "interrupted", item.user_properties)
        raise
    return result


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Report what is wrong with a model, a backend or a value as one line, whichever part of a test met it.

    The user's own errors keep their traceback, without frames of the plugin.
    """
    raised = None if call.excinfo is None else call.excinfo.value
    if isinstance(raised, CpuaccelError):
        from pytest_cpuaccel.plugin.evaluation import failure_of

        call.excinfo = pytest.ExceptionInfo.from_exception(failure_of(raised, item))
    elif isinstance(raised, (Exception, pytest.fail.Exception)) and SHARES_MACHINE in item.config.stash:
        frames = tracebacks.without_ours(raised.__traceback__)
        call.excinfo = pytest.ExceptionInfo.from_exception(raised.with_traceback(frames))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Fail a test as one line when a fixture, ours or one that uses ours, meets what is wrong with a model."""
    if fixturedef.argname == PARAMETER:
        request.config.stash[STANDING] = Standing(fixturedef, request, request.config.stash[RUNNING])
    with _failures():
        return (yield)


@pytest.fixture(scope="session")
def _cpu_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    from pytest_cpuaccel.plugin.unparametrized import sole_backend

    if hasattr(request, "param"):
        yield choice_of(request.config).named(request.param)
    else:
        yield sole_backend(request.config.stash[RUNNING])
    release_builds(request.config)


@pytest.fixture(scope="session")
def cpu_backend(request: pytest.FixtureRequest, _cpu_backend: Backend) -> Backend:
    """The backend in force: ``cpu_backend.name``, ``.precision``, ``.versions``."""
    if hasattr(request, "param"):
        raise UsageError("cpu_backend takes no parameters; of those chosen, allow some by @pytest.mark.cpu_backends")
    return choice_of(request.config).named(_cpu_backend.name)


@pytest.fixture(scope="session")
def eager_model(request: pytest.FixtureRequest) -> nn.Module | str:
    """The reference model: override it to return an ``nn.Module``, a folder or a hub id."""
    source = request.config.stash[SETTINGS].model
    if source is None:
        pytest.fail(
            "eager_model: no model yet; override this fixture in conftest.py to return an nn.Module, "
            "a folder or a hub id, or pass --cpu-model=FOLDER_OR_ID",
            pytrace=False,
        )
    return source


@pytest.fixture(scope="session")
def cpu_candidate(request: pytest.FixtureRequest) -> nn.Module | str | None:
    """Another checkpoint to take ``eager_model``'s place: override it to return what ``eager_model`` may return."""
    return request.config.stash[SETTINGS].candidate


@pytest.fixture(scope="session")
def cpu_calibration() -> Iterable[Any] | None:
    """Inputs that stand for the model's data, for backends that quantise activations: override it.

    Each is a dict of keywords, a tuple of arguments, or a tensor. None: such backends make do with one call's inputs.
    """
    return None


@pytest.fixture
def _cpu_models(request: pytest.FixtureRequest, _cpu_backend: Backend) -> Iterator[ModelsUnderTest]:
    from pytest_cpuaccel.plugin.evaluation import open_hearing

    item: pytest.Item = request.node
    item.config.stash[SHARES_MACHINE] = True
    _check_backend(item)
    session = session_of(item.config)
    evaluated = open_hearing(item, session.models(_cpu_backend))
    item.stash[EVALUATED_TEST] = evaluated
    item.stash[THREADS].enter_context(session.on_threads())
    yield evaluated.models
    item.stash[THREADS].close()
    del item.stash[EVALUATED_TEST]
    evaluated.close()


def _check_backend(item: pytest.Item) -> None:
    from pytest_cpuaccel.plugin.unparametrized import check_lone, reason_to_skip

    selection = selection_for(item)
    reason = reason_to_skip(item, selection)
    if reason:
        pytest.skip(reason)
    check_lone(item, selection)


@pytest.fixture
def cpu_accelerate(_cpu_models: ModelsUnderTest) -> Accelerate:
    """``cpu_accelerate(model)``: any model under the backend in force, recorded and judged like ``cpu_model``.

    ``cpu_accelerate(model, reference=other)`` holds it to another model, whose place it is to take;
    ``cpu_accelerate(model, calibration=inputs)`` is to it what ``cpu_calibration`` is to ``cpu_model``.
    """

    def accelerate(
        model: nn.Module | str, reference: nn.Module | str | None = None, calibration: Iterable[Any] | None = None
    ) -> CpuModel:
        return _cpu_models.accelerate(model, reference, calibration)

    return accelerate


@pytest.fixture
def cpu_model(
    _cpu_models: ModelsUnderTest,
    eager_model: nn.Module | str,
    cpu_candidate: nn.Module | str | None,
    cpu_calibration: Iterable[Any] | None,
) -> CpuModel:
    """``cpu_candidate``, or else ``eager_model``, under the backend in force: call it like the original."""
    source = eager_model if cpu_candidate is None else cpu_candidate
    return _cpu_models.accelerate(source, eager_model, cpu_calibration)


@pytest.fixture
def score_items(
    _cpu_models: ModelsUnderTest,
    eager_model: nn.Module | str,
    cpu_candidate: nn.Module | str | None,
    cpu_calibration: Iterable[Any] | None,
) -> ScoreItems:
    """``score_items(fn, items)``: ``fn(model, item)`` for every item, under the backend and under eager.

    Returns the backend's scores; ``accuracy_budget`` judges them against eager's.
    """
    source = eager_model if cpu_candidate is None else cpu_candidate

    def score(fn: Callable[[Any, Any], float], items: Iterable[Any]) -> list[float]:
        return _cpu_models.score(source, eager_model, fn, items, cpu_calibration)

    return score
