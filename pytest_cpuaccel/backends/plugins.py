"""Backends that installed pytest plugins and a conftest.py add, found without a run of pytest."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType

from pytest_cpuaccel.backends.registry import added_backends, register
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError

HOOK = "pytest_cpuaccel_backends"
_OURS = "pytest_cpuaccel"
_CONFTEST = "conftest.py"


@dataclass(frozen=True)
class KnownBackends:
    """``by_name`` are all backends, ours first; ``origins`` are the plugins of the others, by the backend's name.

    ``problems`` has a line for each plugin that can't be asked.
    """

    by_name: Mapping[str, Backend]
    origins: Mapping[str, str]
    problems: tuple[str, ...]


def known_backends(folder: Path) -> KnownBackends:
    """Return our backends and those that plugins add, as a run of pytest in ``folder`` would know them.

    The plugins are the installed ones, those in ``PYTEST_PLUGINS``, and each ``conftest.py`` of the folder and of its
    folders ``test*`` that has the hook. The hook gets None as config.
    """
    added: list[Backend] = []
    origins: dict[str, str] = {}
    problems: list[str] = []
    for origin, load in _plugins(folder):
        with _noted(origin, problems):
            found = [backend for backend in _offered(load) if backend not in added]
            register([*added, *found])
            added += found
            origins |= {backend.name: origin for backend in found}
    return KnownBackends(register(added), origins, tuple(problems))


@contextlib.contextmanager
def _noted(origin: str, problems: list[str]) -> Iterator[None]:
    """Note the mistake of a plugin, so that those after it are asked all the same."""
    try:
        yield
    except UsageError as mistake:
        problems.append(f"{origin}: {mistake}")


def _plugins(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each plugin for messages, and a function that imports it."""
    for point in metadata.entry_points(group="pytest11"):
        if point.value.partition(":")[0].partition(".")[0] != _OURS:
            yield f"{point.dist.name} {point.dist.version}" if point.dist else point.name, point.load
    for name in os.environ.get("PYTEST_PLUGINS", "").split(","):
        if name and name.partition(".")[0] != _OURS:
            yield name, partial(importlib.import_module, name)
    for path in (folder / _CONFTEST, *sorted(folder.glob(f"test*/{_CONFTEST}"))):
        if path.is_file() and HOOK in path.read_text(encoding="utf-8", errors="replace"):
            yield str(path.relative_to(folder)), partial(_conftest, path)


def _conftest(path: Path) -> ModuleType:
    """Import a conftest.py under the name that pytest gives it; under another one if that is taken.

    The folder stays on ``sys.path``, so that another process can import it too.
    """
    folder, name = path.parent, path.stem
    while (folder / "__init__.py").is_file():
        folder, name = folder.parent, f"{folder.name}.{name}"
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.import_module(name)
    if module.__file__ and Path(module.__file__).samefile(path):
        return module
    spec = importlib.util.spec_from_file_location(f"{name} of {folder.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _offered(load: Callable[[], object]) -> list[Backend]:
    """Return the backends of a plugin and of those that it names in ``pytest_plugins``.

    Raises:
        UsageError: the plugin can't be imported, or its hook raises or returns something else than backends.
    """
    offered: list[Backend] = []
    pending = [load]
    imported: list[object] = []
    while pending:
        with _mistakes("can't be imported"):
            plugin = pending.pop(0)()
        if any(plugin is other for other in imported):
            continue
        imported.append(plugin)
        named = getattr(plugin, "pytest_plugins", ())
        pending += [partial(importlib.import_module, name) for name in ([named] if isinstance(named, str) else named)]
        hook = getattr(plugin, HOOK, None)
        if hook is not None:
            with _mistakes(f"its {HOOK}, called without a config of pytest, failed"):
                answer = hook(config=None) if "config" in inspect.signature(hook).parameters else hook()
            offered += added_backends([] if answer is None else [answer])
    return offered


@contextlib.contextmanager
def _mistakes(what: str) -> Iterator[None]:
    """Turn all that a plugin raises, SystemExit and pytest's own outcomes too, into one line; keep stdout clean."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise UsageError(f"{what}: {reason(error)}") from error
