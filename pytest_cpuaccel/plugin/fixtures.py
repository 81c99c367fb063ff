"""The fixtures: the backend in force, models under it, and what a project overrides to say which model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.plugin.stash import (
    EVALUATED_TEST,
    RUNNING,
    SETTINGS,
    SHARES_MACHINE,
    THREADS,
    choice_of,
    model_named,
    release_builds,
    session_of,
)

if TYPE_CHECKING:
    from torch import nn

    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.core.fixture_types import Accelerate, CpuModel, ItemsByPlace, ScoreItems
    from pytest_cpuaccel.evaluation.argument_names import ArgumentNames
    from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest
    from pytest_cpuaccel.evaluation.quantisation import Quantisation

_QUANTISATION = ("cpu_calibration", "cpu_keep_fp32")


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
    """The current backend: ``cpu_backend.name``, ``.precision``, ``.versions``."""
    if hasattr(request, "param"):
        raise UsageError("cpu_backend takes no parameters; of those chosen, allow some by @pytest.mark.cpu_backends")
    return choice_of(request.config).named(_cpu_backend.name)


@pytest.fixture(scope="session")
def eager_model(request: pytest.FixtureRequest) -> nn.Module | str:
    """The reference model: override it to return an ``nn.Module``, a folder or a hub id."""
    source = model_named(request.config, "model")
    if source is None:
        pytest.fail(
            "eager_model: no model yet; override this fixture in conftest.py to return an nn.Module, "
            "a folder or a hub id, or pass --cpu-model=FOLDER_OR_ID",
            pytrace=False,
        )
    return source


@pytest.fixture(scope="session")
def cpu_candidate(request: pytest.FixtureRequest) -> nn.Module | str | None:
    """Another checkpoint in ``eager_model``'s place: override it to return anything that ``eager_model`` may return."""
    return model_named(request.config, "candidate")


@pytest.fixture(scope="session")
def cpu_calibration() -> Iterable[Any] | None:
    """Representative inputs, for backends that quantise activations: override it to return a list.

    Each is a dict of keywords, a tuple of arguments, or a tensor. With None such backends use one call's inputs.
    """
    return None


@pytest.fixture(scope="session")
def cpu_keep_fp32() -> Iterable[str] | None:
    """Modules that backends of int8 and bf16 leave in fp32: override it to return a list of paths or patterns."""
    return None


@pytest.fixture
def _cpu_quantisation(cpu_calibration: Iterable[Any] | None, cpu_keep_fp32: Iterable[str] | None) -> Quantisation:
    from pytest_cpuaccel.evaluation.quantisation import Quantisation

    return Quantisation(cpu_calibration, cpu_keep_fp32)


@pytest.fixture
def _cpu_models(request: pytest.FixtureRequest, _cpu_backend: Backend) -> Iterator[ModelsUnderTest]:
    from pytest_cpuaccel.plugin.evaluated_test import evaluated_test
    from pytest_cpuaccel.plugin.unparametrized import check_runs

    item: pytest.Item = request.node
    item.config.stash[SHARES_MACHINE] = True
    check_runs(item)
    session = session_of(item.config)
    evaluated = evaluated_test(item, session.models(_cpu_backend))
    item.stash[EVALUATED_TEST] = evaluated
    item.stash[THREADS].enter_context(session.on_threads())
    yield evaluated.models
    item.stash[THREADS].close()
    del item.stash[EVALUATED_TEST]
    evaluated.close()


@pytest.fixture
def cpu_accelerate(_cpu_models: ModelsUnderTest) -> Accelerate:
    """``cpu_accelerate(model)``: any model under the current backend, recorded and judged like ``cpu_model``.

    ``cpu_accelerate(model, reference=other)`` compares it with another model, the one that it replaces.
    ``cpu_accelerate(model, calibration=inputs)`` gives it the inputs that ``cpu_calibration`` gives ``cpu_model``, and
    ``keep_fp32=paths`` the modules that ``cpu_keep_fp32`` does.
    """

    def accelerate(
        model: nn.Module | str,
        reference: nn.Module | str | None = None,
        calibration: Iterable[Any] | None = None,
        keep_fp32: Iterable[str] | None = None,
    ) -> CpuModel:
        from pytest_cpuaccel.evaluation.quantisation import Quantisation

        return _cpu_models.accelerate(model, reference, Quantisation(calibration, keep_fp32))

    return accelerate


def _names(
    request: pytest.FixtureRequest, eager_model: nn.Module | str, cpu_candidate: nn.Module | str | None
) -> ArgumentNames:
    """Return the names of what ``cpu_model`` is made of: of the fixtures, or of the options that they took it from."""
    from pytest_cpuaccel.evaluation.argument_names import ArgumentNames
    from pytest_cpuaccel.plugin.options import source_of

    settings = request.config.stash[SETTINGS]
    by_option = eager_model is not None and eager_model is settings.model
    reference = source_of(request.config, "model") if by_option else "eager_model"
    if cpu_candidate is None:
        return ArgumentNames(reference, reference, *_QUANTISATION)
    by_option = cpu_candidate is settings.candidate
    candidate = source_of(request.config, "candidate") if by_option else "cpu_candidate"
    return ArgumentNames(candidate, reference, *_QUANTISATION)


@pytest.fixture
def cpu_model(
    request: pytest.FixtureRequest,
    _cpu_models: ModelsUnderTest,
    eager_model: nn.Module | str,
    cpu_candidate: nn.Module | str | None,
    _cpu_quantisation: Quantisation,
) -> CpuModel:
    """``cpu_candidate``, or else ``eager_model``, under the current backend: call it like the original."""
    source = eager_model if cpu_candidate is None else cpu_candidate
    return _cpu_models.accelerate(source, eager_model, _cpu_quantisation, _names(request, eager_model, cpu_candidate))


@pytest.fixture
def score_items(
    request: pytest.FixtureRequest,
    _cpu_models: ModelsUnderTest,
    eager_model: nn.Module | str,
    cpu_candidate: nn.Module | str | None,
    _cpu_quantisation: Quantisation,
) -> ScoreItems:
    """``score_items(fn, items)``: ``fn(model, item)`` for every item, under the backend and under eager.

    Returns the backend's scores; ``accuracy_budget`` judges them against eager's. With ``batch_size=`` the function
    takes lists of items; with ``metric=`` it returns pairs of prediction and reference, for a metric over all items.
    ``stop_early=True`` ends it once the verdict is certain.
    """
    from pytest_cpuaccel.evaluation.scored_items import ScoredItems
    from pytest_cpuaccel.evaluation.scoring import Scoring, check_function

    source = eager_model if cpu_candidate is None else cpu_candidate

    def score(
        fn: Callable[[Any, Any], Any],
        items: Iterable[Any] | ItemsByPlace,
        batch_size: int | None = None,
        stop_early: bool = False,
        metric: Any = None,
    ) -> Any:
        check_function(fn, items)
        scoring, given = Scoring.of(fn, batch_size, stop_early, metric), ScoredItems.of(items)
        names = _names(request, eager_model, cpu_candidate)
        model = _cpu_models.accelerate(source, eager_model, _cpu_quantisation, names)
        return _cpu_models.score(model, scoring, given)

    return score
