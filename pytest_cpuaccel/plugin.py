"""The pytest plugin: options, hooks and fixtures; it translates and decides nothing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel import hookspecs, marks, settings
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.journal import NAME, Journal, journal_of
from pytest_cpuaccel.state import SETTINGS, SHARES_MACHINE, choice_of, is_worker, lock_of, session_of

if TYPE_CHECKING:
    from torch import nn

    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.judge.bench import Bench

BENCH: pytest.StashKey[Bench] = pytest.StashKey()
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
    for line in marks.DECLARATIONS:
        config.addinivalue_line("markers", line)
    with _usage_errors(config):
        config.stash[SETTINGS] = settings.read_settings(config)
        if config.stash[SETTINGS].backends:
            choice_of(config)
        if not is_worker(config):
            settings.check_reports(config.stash[SETTINGS])
            settings.check_baselines(config.stash[SETTINGS])
            config.pluginmanager.register(Journal(config), NAME)


def pytest_report_header(config: pytest.Config) -> list[str]:
    chosen = config.stash[SETTINGS]
    if not chosen.backends:
        return ["cpuaccel: eager only; choose backends with --cpu-backends=NAMES, such as ort,openvino* or all"]
    from pytest_cpuaccel.report.header import header

    choice = choice_of(config)
    return list(header(choice.chosen, choice.missing, chosen.threads))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cpu_backend" not in metafunc.fixturenames:
        return
    from pytest_cpuaccel.narrowing import Narrowing
    from pytest_cpuaccel.parameters import backend_parameters

    parameters = backend_parameters(choice_of(metafunc.config), Narrowing.of(metafunc.definition))
    metafunc.parametrize("cpu_backend", list(parameters), indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if marks.judged(item) or "cpu_backend" in getattr(item, "fixturenames", ())]
    if not ours:
        return
    config.stash[SHARES_MACHINE] = True
    from pytest_cpuaccel.hearing import check_marks
    from pytest_cpuaccel.parameters import backend_name, in_backend_order

    with _usage_errors(config):
        lock_of(config).check()
        for item in ours:
            check_marks(item, backend_name(item) or "eager", choice_of(config))
        items[:] = in_backend_order(items, choice_of(config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """End xdist's run when a worker found a user's mistake."""
    mistake = getattr(node, "workeroutput", {}).get(MISTAKE)
    if mistake:
        raise pytest.UsageError(f"cpuaccel: {mistake}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stand still while the clock of another xdist worker, or of another session, runs."""
    if SHARES_MACHINE not in item.config.stash:
        return (yield)
    from pytest_cpuaccel.report.row import note_property

    with lock_of(item.config).shared() as refusal:
        if refusal:
            item.user_properties.append(note_property(f"{item.nodeid} ran beside a clock: {refusal}"))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Judge a test when its body is through, still inside the call phase, so that xfail and --pdb apply."""
    bench = pyfuncitem.stash.get(BENCH, None)
    if bench is None:
        return (yield)
    from pytest_cpuaccel.hearing import judged, place_of

    try:
        result = yield
        judged(pyfuncitem, bench)
    except CpuaccelError as error:
        raise pytest.fail.Exception(f"{place_of(error, pyfuncitem)}{error}", pytrace=False) from None
    except KeyboardInterrupt:
        journal = journal_of(pyfuncitem.config)
        if journal:
            journal.add(pyfuncitem.nodeid, "interrupted", pyfuncitem.user_properties)
        raise
    return result


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Fail a test as one line when a fixture, ours or one that uses ours, meets what is wrong with a model."""
    with _failures():
        return (yield)


@pytest.fixture(scope="session")
def cpu_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The backend in force: ``cpu_backend.name``, ``.precision``, ``.versions``."""
    choice = choice_of(request.config)
    with _failures():
        backend = choice.named(getattr(request, "param", choice.chosen[0].name))
    yield backend
    session_of(request.config).court.workshop.release()


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
def candidate_model(request: pytest.FixtureRequest) -> nn.Module | str | None:
    """Another checkpoint to take ``eager_model``'s place: override it to return what ``eager_model`` may return."""
    return request.config.stash[SETTINGS].candidate


@pytest.fixture(scope="session")
def cpu_calibration() -> Iterable[Any] | None:
    """Inputs that stand for the model's data, for backends that quantise activations: override it.

    Each is a dict of keywords, a tuple of arguments, or a tensor. None: such backends make do with one call's inputs.
    """
    return None


@pytest.fixture
def _cpu_bench(request: pytest.FixtureRequest, cpu_backend: Backend) -> Bench:
    bench = request.node.stash[BENCH] = session_of(request.config).bench(cpu_backend)
    return bench


@pytest.fixture
def cpu_accelerate(_cpu_bench: Bench) -> Callable[..., Any]:
    """``cpu_accelerate(model)``: any model under the backend in force, recorded and judged like ``cpu_model``.

    ``cpu_accelerate(model, reference=other)`` holds it to another model, whose place it is to take;
    ``cpu_accelerate(model, calibration=inputs)`` is to it what ``cpu_calibration`` is to ``cpu_model``.
    """
    return _cpu_bench.accelerate


@pytest.fixture
def cpu_model(
    _cpu_bench: Bench,
    eager_model: nn.Module | str,
    candidate_model: nn.Module | str | None,
    cpu_calibration: Iterable[Any] | None,
) -> Any:
    """``candidate_model``, or else ``eager_model``, under the backend in force: call it like the original."""
    source = eager_model if candidate_model is None else candidate_model
    return _cpu_bench.accelerate(source, eager_model, cpu_calibration)


@pytest.fixture
def score_items(
    _cpu_bench: Bench,
    eager_model: nn.Module | str,
    candidate_model: nn.Module | str | None,
    cpu_calibration: Iterable[Any] | None,
) -> Callable[[Callable[[Any, Any], float], Iterable[Any]], list[float]]:
    """``score_items(fn, items)``: ``fn(model, item)`` for every item, under the backend and under eager.

    Returns the backend's scores; ``accuracy_budget`` judges them against eager's.
    """
    source = eager_model if candidate_model is None else candidate_model
    return functools.partial(_cpu_bench.score, source, eager_model, calibration=cpu_calibration)
