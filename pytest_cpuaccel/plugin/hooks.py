"""The pytest plugin: its hooks, which translate and decide nothing."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.frames import without_ours
from pytest_cpuaccel.plugin import effort, findings, hookspecs, options, tracebacks
from pytest_cpuaccel.plugin.fixture_names import BACKEND, uses_backend, uses_model
from pytest_cpuaccel.plugin.marks.names import DECLARATIONS, on_test_itself
from pytest_cpuaccel.plugin.real_output import real_output
from pytest_cpuaccel.plugin.reporter import EAGER_ONLY, NAME, Reporter, reporter_of
from pytest_cpuaccel.plugin.stash import (
    EVALUATED_TEST,
    FOLLOWING,
    IS_OURS,
    OTHER,
    OUTPUT,
    RUNNING,
    SETTINGS,
    SHARES_MACHINE,
    STANDBY,
    STANDING,
    THREADS,
    WORKER_DISPLAY,
    Standing,
    check_names,
    choice_of,
    is_addressed,
    is_worker,
    lock_of,
    names_may_come,
    progress_of,
    questioned_threads,
    selection_for,
    session_of,
)

pytest_plugins = ["pytest_cpuaccel.plugin.fixtures"]

MISTAKE = "cpuaccel_mistake"


@contextlib.contextmanager
def _usage_errors(config: pytest.Config) -> Iterator[None]:
    """End the run at a user's mistake, with one ``ERROR:`` line; under xdist the controller has to print it."""
    try:
        yield
    except CpuaccelError as mistake:
        if is_worker(config):
            config.workeroutput[MISTAKE] = str(mistake)  # type: ignore[attr-defined]
        raise pytest.UsageError(f"cpuaccel: {mistake}") from None


@contextlib.contextmanager
def _failures(item: pytest.Item) -> Iterator[None]:
    """Let an error of ours fail the test with one line, without our traceback."""
    try:
        yield
    except CpuaccelError as error:
        from pytest_cpuaccel.plugin.failures import failure, reason_of

        raise failure(str(error), reason_of(error, item)) from None


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTPUT] = None if is_worker(config) else real_output(config)
    for plugin in (tracebacks, findings, effort):
        config.pluginmanager.register(plugin, plugin.__name__)
    for line in DECLARATIONS:
        config.addinivalue_line("markers", line)
    with _usage_errors(config):
        config.stash[SETTINGS] = options.read_settings(config)
        if STANDBY in config.stash:
            from pytest_cpuaccel.plugin.standby import without_effects

            config.stash[SETTINGS] = without_effects(config.stash[SETTINGS])
        if config.stash[SETTINGS].unsupported == "skip":
            from pytest_cpuaccel.plugin import unsupported

            config.pluginmanager.register(unsupported, unsupported.__name__)
            if not is_worker(config):
                from pytest_cpuaccel.plugin import ran_backends

                config.pluginmanager.register(ran_backends.RanBackends(config), ran_backends.NAME)
        is_checked = config.stash[SETTINGS].backends and STANDBY not in config.stash
        if is_checked and not names_may_come(config):
            check_names(config)
        if not is_worker(config):
            options.check_reports(config.stash[SETTINGS], options.source_of(config, "report"))
            options.check_baselines(config.stash[SETTINGS])
            options.check_bundles(config.stash[SETTINGS], options.source_of(config, "bundles"))
            if config.stash[SETTINGS].tolerances.is_written:
                from pytest_cpuaccel.plugin.tolerance_lock import check_writable

                check_writable(config)
            if STANDBY not in config.stash:
                config.pluginmanager.register(Reporter(config), NAME)


def pytest_report_header(config: pytest.Config) -> list[str]:
    chosen = config.stash[SETTINGS]
    if not chosen.backends:
        return [f"cpuaccel: {EAGER_ONLY}"]
    from pytest_cpuaccel.report.header import header

    selection, width = choice_of(config), shutil.get_terminal_size(fallback=(0, 0)).columns or math.inf
    awaited = [f"cpuaccel: {', '.join(selection.unknown)}: for a conftest.py below to add"] if selection.unknown else []
    excess = questioned_threads(config)
    questioned = [f"cpuaccel: {excess}"] if excess else []
    lines = [*header(selection.chosen, selection.missing, chosen.threads, width), *questioned, *awaited]
    if not chosen.is_against_another:
        return lines
    from pytest_cpuaccel.plugin.other import header_line

    return [*lines, f"cpuaccel: {header_line(config)}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if BACKEND not in metafunc.fixturenames:
        return
    from pytest_cpuaccel.plugin.parametrize import parametrize

    with contextlib.suppress(CpuaccelError):  # reported when all is collected: only there it can end the run
        parametrize(metafunc, selection_for(metafunc.definition))


def pytest_itemcollected(item: pytest.Item) -> None:
    if uses_backend(item):
        from pytest_cpuaccel.plugin.parametrize import number_backend

        number_backend(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    with _usage_errors(config):
        if config.stash[SETTINGS].backends and STANDBY not in config.stash:
            check_names(config)
        if not _is_ours(config, items):
            return
        config.stash[IS_OURS] = config.stash[SHARES_MACHINE] = True
        from pytest_cpuaccel.plugin.marks.checks import check_marks
        from pytest_cpuaccel.plugin.parametrize import backend_name
        from pytest_cpuaccel.plugin.tolerance_lock import locks_of
        from pytest_cpuaccel.plugin.unparametrized import sole_backend

        locks_of(config)
        lock_of(config).check()
        selection = choice_of(config)
        for item in items:
            if uses_backend(item) or on_test_itself(item):
                check_marks(item, backend_name(item) or sole_backend(item).name, selection)
        if config.stash[SETTINGS].is_against_another and STANDBY not in config.stash and not config.option.collectonly:
            from pytest_cpuaccel.plugin.other import open_other

            open_other(config)


def _is_ours(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Tell whether marks of our names are ours: the run sets one of our options, or a test uses our fixtures."""
    if any(map(uses_backend, items)):
        return True
    if not any(map(on_test_itself, items)):
        return False
    from pytest_cpuaccel.plugin.dynamic_fixtures import asks_for_ours

    return is_addressed(config) or any(map(asks_for_ours, items))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker what it can't know: where paths start, where its progress is shown, what a side gets."""
    node.workerinput[options.CONTROLLERS_FOLDER] = str(options.current_folder(node.config))
    if node.config.stash[SETTINGS].is_against_another:
        from pytest_cpuaccel.plugin.side_arguments import ARGUMENTS, arguments_for_sides

        node.workerinput[ARGUMENTS] = arguments_for_sides(node.config)
    from pytest_cpuaccel.plugin.worker_progress import receiver_of

    receiver = receiver_of(node.config, progress_of(node.config).display)
    if receiver is not None:
        node.workerinput[WORKER_DISPLAY] = receiver.for_worker()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """End xdist's run when a worker found a user's mistake."""
    mistake = getattr(node, "workeroutput", {}).get(MISTAKE)
    if mistake:
        raise pytest.UsageError(f"cpuaccel: {mistake}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Wait while another xdist worker, or another session, times a model."""
    item.config.stash[RUNNING], item.config.stash[FOLLOWING] = item, nextitem
    with contextlib.ExitStack() as item.stash[THREADS]:
        if SHARES_MACHINE not in item.config.stash or STANDBY in item.config.stash:
            return (yield)
        progress = progress_of(item.config)
        progress.test = item.nodeid
        with contextlib.ExitStack() as held:
            with progress.busy("waiting for the machine", math.inf):
                refusal = held.enter_context(lock_of(item.config).shared(progress.show))
            if refusal:
                findings.findings_for(item).notes.append(f"{item.nodeid} ran beside a timing: {refusal}")
            return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if OTHER in config.stash:
        config.stash[OTHER].close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if STANDING in item.config.stash:
        from pytest_cpuaccel.plugin.unparametrized import renew_backend

        renew_backend(item, item.config.stash[STANDING])
    if SHARES_MACHINE in item.config.stash and uses_backend(item):
        from pytest_cpuaccel.plugin.unparametrized import check_runs

        check_runs(item)
        if uses_model(item):
            session_of(item.config)  # it may refuse the model, and should do so before a fixture of the user gets it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge a test of any kind when its body has run, still in the call phase, so that xfail and --pdb apply."""
    if EVALUATED_TEST in item.stash:
        item.stash[EVALUATED_TEST].evaluate_within_test_case()
    try:
        result = yield
        if EVALUATED_TEST in item.stash:
            item.stash[EVALUATED_TEST].evaluate()
        elif IS_OURS in item.config.stash:
            from pytest_cpuaccel.plugin.marks.checks import check_something_is_judged

            check_something_is_judged(item)
    except KeyboardInterrupt:
        reporter = reporter_of(item.config)
        if reporter and findings.uses_backends(item):
            reporter.add(item.nodeid, "interrupted", findings.when_interrupted(item))
        raise
    return result


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Report an error of ours as one line, whichever phase of a test raised it.

    The user's own errors keep their traceback, without frames of the plugin.
    """
    raised = None if call.excinfo is None else call.excinfo.value
    if isinstance(raised, CpuaccelError):
        from pytest_cpuaccel.plugin.failures import failure_of

        call.excinfo = pytest.ExceptionInfo.from_exception(failure_of(raised, item))
    elif isinstance(raised, (Exception, pytest.fail.Exception)) and SHARES_MACHINE in item.config.stash:
        frames = without_ours(raised.__traceback__)
        call.excinfo = pytest.ExceptionInfo.from_exception(raised.with_traceback(frames))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Fail a test with one line when a fixture, ours or one that uses ours, raises an error of ours."""
    if fixturedef.argname == BACKEND:
        request.config.stash[STANDING] = Standing(fixturedef, request, request.config.stash[RUNNING])
    with _failures(request.config.stash[RUNNING]):
        return (yield)
