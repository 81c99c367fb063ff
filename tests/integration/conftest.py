"""Runs of pytest inside the tests here, with the plugin in force whether or not it is installed."""

from __future__ import annotations

import functools
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests import compiling, doubles

ROOT = Path(__file__).parents[2]
INSTALLED = any(point.name == "cpuaccel" for point in metadata.entry_points(group="pytest11"))

CONFTEST = """
import pytest, torch
from tests import doubles, models

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return doubles.BACKENDS

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return models.mlp()
"""


@pytest.fixture
def libraries() -> Iterator[dict[str, Any]]:
    """Modules that stay imported when pytester forgets what its runs imported: torch can't be imported twice."""
    imported: dict[str, Any] = {}
    yield imported
    sys.modules.update(imported)


@pytest.fixture
def project(
    libraries: dict[str, Any],
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pytest.Pytester]:
    """An empty project of a user; its caches and the log of ``doubles`` lie in its own folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # The machine's lock lies in the temporary folder: with one of its own, a run here waits for nobody else's clock.
    lock_folder = str(tmp_path_factory.mktemp("lock"))
    monkeypatch.setenv("TMPDIR", lock_folder)
    monkeypatch.setattr(tempfile, "tempdir", lock_folder)
    # A conftest rewritten within a second, to the same length, would be taken from the bytecode of the first.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv(doubles.LOG, str(pytester.path / "builds.log"))
    # pytest-benchmark starts three processes in each session, anyio's plugin takes 0.3 s to import.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:benchmark -p no:anyio")
    monkeypatch.delenv("COLUMNS", raising=False)  # the table is folded to it
    for variable in ("CI", "BUILD_NUMBER"):  # pytest shortens and repeats lines by them
        monkeypatch.delenv(variable, raising=False)
    if not INSTALLED:
        monkeypatch.setenv("PYTEST_PLUGINS", "pytest_cpuaccel.plugin.hooks")
    monkeypatch.setattr(
        pytester, "inline_run", functools.partial(_run_keeping_libraries, libraries, pytester.inline_run)
    )
    yield pytester
    libraries.update(_imported_from_outside(pytester.path))


def _imported_from_outside(folder: Path) -> dict[str, Any]:
    return {
        name: module
        for name, module in sys.modules.items()
        if not str(getattr(module, "__file__", "")).startswith(str(folder))
    }


def _run_keeping_libraries(libraries: dict[str, Any], inline_run: Any, *args: Any, **kwargs: Any) -> Any:
    class Imports:
        def pytest_unconfigure(self, config: pytest.Config) -> None:
            libraries.update(_imported_from_outside(config.rootpath))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own: what is an error here is none to a user
            return inline_run(*args, **kwargs | {"plugins": [*kwargs.get("plugins", ()), Imports()]})
    finally:
        sys.modules.update(libraries)


@pytest.fixture
def mlp_project(project: pytest.Pytester) -> pytest.Pytester:
    """A project with an MLP, (batch, 16) -> (batch, 4), equal in every session, and the doubles as backends."""
    project.makeconftest(CONFTEST)
    return project


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch on one thread, as the plugin has it unless told otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def graphs_only() -> Iterator[None]:
    """Dynamo's graphs run as they are."""
    with compiling.graphs_only():
        yield


@pytest.fixture
def builds(project: pytest.Pytester) -> Builds:
    """What the doubles built so far."""
    return Builds(project.path / "builds.log")


class Builds:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, word: str = "") -> list[str]:
        """Return the lines that begin with ``word``."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [line for line in lines if line.startswith(word)]
