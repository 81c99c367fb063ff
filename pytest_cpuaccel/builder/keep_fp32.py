"""Modules that the user wants to stay in fp32 under backends that quantise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError, UsageError
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.core.suggestion import suggestion

if TYPE_CHECKING:
    from torch import nn

_WHAT_WOULD_DO = "give a list of paths of modules, such as ['encoder.layer.3.*', 'head']"
_MOST_SHOWN = 12


@dataclass(frozen=True)
class KeepFp32:
    """The paths of what each pattern matches, with all parts of it; the user gave the list under the name ``of``."""

    matched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of: str = "keep_fp32"

    @property
    def patterns(self) -> tuple[str, ...]:
        """Return the patterns as the user gave them."""
        return tuple(self.matched)

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths of all that stays in fp32."""
        return tuple(dict.fromkeys(path for paths in self.matched.values() for path in paths))

    def for_backend(self, backend: Backend) -> Mapping[str, tuple[str, ...]]:
        """Return the paths that a backend gets, by pattern; none for one that reduces no precision.

        Raises:
            BuildError: the backend reduces precision, and can keep no module from that.
        """
        if backend.quantises is not None:
            return self.matched
        if self.matched and backend.precision in REDUCED:
            raise BuildError(
                f"it can't keep modules in fp32, and {self.of} names some; for a test of such modules allow other "
                "backends by @pytest.mark.cpu_backends, or return [] for this one"
            )
        return {}


NOTHING = KeepFp32()


def idle(kept: Mapping[str, tuple[str, ...]], model: nn.Module, backend: Backend) -> list[str]:
    """Return the patterns whose paths have nothing that a backend would quantise."""
    if backend.quantises is None:
        return []
    found = {path for path, module in model.named_modules(remove_duplicate=False) if backend.quantises(module)}
    return [pattern for pattern, paths in kept.items() if found.isdisjoint(paths)]


def keep_fp32_of(given: object, model: nn.Module, of: str) -> KeepFp32:
    """Return the modules of a model that a user named; ``of`` is the user's name for the list, for messages.

    A pattern is a path, or a glob in which ``*`` stands for dots too. What it matches stays in fp32 with all its parts.

    Raises:
        UsageError: no list of texts, or a pattern that matches no module.
    """
    if isinstance(given, str) or not isinstance(given, (list, tuple, set, frozenset)):
        what = repr(given) if isinstance(given, str) else type(given).__name__
        raise UsageError(f"{of}: {what} is no list; {_WHAT_WOULD_DO}")
    for pattern in given:
        if not isinstance(pattern, str):
            raise UsageError(f"{of}: an item is of type {type(pattern).__name__}; {_WHAT_WOULD_DO}")
    patterns = sorted(given) if isinstance(given, (set, frozenset)) else given
    return KeepFp32({pattern: _checked(pattern, model, of) for pattern in patterns}, of)


def _checked(pattern: str, model: nn.Module, of: str) -> tuple[str, ...]:
    found = tuple(_matching(pattern, model))
    if not found:
        known = list(_paths(model))
        hint = suggestion(pattern, known) if known else "it has no modules"
        if hint.startswith("there are") and len(known) > _MOST_SHOWN:
            hint = f"there are {', '.join(known[:_MOST_SHOWN])} and {len(known) - _MOST_SHOWN} more"
        raise UsageError(f"{of}: {pattern!r} matches no module of {type(model).__name__}; {hint}")
    return found


def _matching(pattern: str, model: nn.Module) -> Iterator[str]:
    """The paths of modules that a pattern matches, and of their parts; under each name that a module has."""
    modules = list(model.named_modules(remove_duplicate=False))
    met = {
        id(part)
        for path, module in modules
        if path and (path == pattern or fnmatchcase(path, pattern))
        for part in module.modules()
    }
    return (path for path, module in modules if path and id(module) in met)


def _paths(model: nn.Module) -> Iterator[str]:
    return (path for path, _ in model.named_modules(remove_duplicate=False) if path)
