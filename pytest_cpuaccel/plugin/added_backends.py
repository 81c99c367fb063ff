"""Backends that plugins and conftests add by the hook, and the tests that know them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pluggy
import pytest

from pytest_cpuaccel.backends.registry import added_backends
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.frames import without_ours

HOOK = "pytest_cpuaccel_backends"
CONFTEST = "conftest.py"
_PLUGGY = str(Path(pluggy.__file__).parent)


@dataclass(frozen=True)
class Offer:
    """Backends of one plugin. ``folder`` holds the tests that know them; None if all tests do."""

    origin: str
    folder: Path | None
    backends: tuple[Backend, ...]

    def reaches(self, path: Path) -> bool:
        """Tell whether a test in this file knows the backends."""
        return self.folder is None or self.folder in path.parents


def offer_of(config: pytest.Config, plugin: object) -> Offer:
    """Ask one plugin or conftest.py for its backends.

    Raises:
        UsageError: its answer is not a list of backends, or its hook raised; the text then ends in its own traceback.
    """
    manager = config.pluginmanager
    others = [other for other in manager.get_plugins() if other is not plugin]
    path = conftest_of(manager.get_name(plugin))
    origin = (manager.get_name(plugin) or repr(plugin)) if path is None else shown(path, config)
    try:
        answers = manager.subset_hook_caller(HOOK, others)(config=config)
    except Exception as error:
        raise UsageError(f"{origin}: {HOOK} raised {_with_own_traceback(error)}") from error
    return Offer(origin, path.parent if path else None, tuple(added_backends(answers)))


def _with_own_traceback(error: Exception) -> str:
    """Return an exception with its traceback in code that is neither ours nor pluggy's."""
    frames = traceback.extract_tb(without_ours(error.__traceback__))
    own = [frame for frame in frames if not frame.filename.startswith(_PLUGGY)]
    said = "".join(traceback.format_exception_only(error)).strip()
    return f"{said}\n{''.join(traceback.format_list(own))}".rstrip()


def conftest_of(plugin_name: str | None) -> Path | None:
    """Return the path of a plugin that is a conftest.py; None for any other plugin."""
    path = Path(plugin_name or "")
    return path if path.name == CONFTEST else None


def shown(path: Path, config: pytest.Config) -> str:
    """Return a path as the user would write it."""
    return os.path.relpath(path, config.rootpath)


def all_offered(offers: Iterable[Offer]) -> tuple[Backend, ...]:
    """Return the backends of all plugins, each once.

    Raises:
        UsageError: two places give one name to different backends.
    """
    origins: dict[str, str] = {}
    found: list[Backend] = []
    for offer in offers:
        for backend in offer.backends:
            first = origins.setdefault(backend.name, offer.origin)
            if first == offer.origin:
                found.append(backend)
            elif backend not in found:
                raise UsageError(
                    f"{HOOK}: {first} and {offer.origin} both add a backend {backend.name!r}; "
                    "a name holds for the whole run: rename one"
                )
    return tuple(found)


def unread_conftests(config: pytest.Config) -> Iterator[Path]:
    """Yield each conftest.py below rootdir that has the hook and that pytest has not loaded."""
    loaded = {conftest_of(name) for name, _ in config.pluginmanager.list_name_plugin()}
    left_out = [*config.getini("norecursedirs"), "__pycache__"]
    for folder, folders, files in os.walk(config.rootpath):
        folders[:] = [name for name in folders if not any(fnmatchcase(name, pattern) for pattern in left_out)]
        path = Path(folder) / CONFTEST
        if CONFTEST in files and path not in loaded and HOOK in path.read_text(encoding="utf-8", errors="replace"):
            yield path
