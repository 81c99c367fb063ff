"""The operations of OpenVINO's IR that the modules of a model became."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import none_found
from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap

_TRACED = "__module."
"""What the names of operations begin with in an IR of Optimum, which converts a trace: the module's path follows."""


def ignored_scope(model: Any, folder: Path, paths: Collection[str]) -> Any:
    """Return NNCF's scope of the operations in the modules at these paths; None for no path.

    ``folder`` is that of the artifact, with the map of its modules.

    Raises:
        BuildFailureError: no operation is known to come from them.
    """
    import nncf

    if not paths:
        return None
    names = _operations_in(model, folder, paths)
    if not names:
        raise none_found()
    return nncf.IgnoredScope(names=names, validate=False)


def _operations_in(model: Any, folder: Path, paths: Collection[str]) -> list[str]:
    names = [operation.get_friendly_name() for operation in model.get_ops()]
    if any(name.startswith(_TRACED) for name in names):
        begins = tuple(f"{_TRACED}{path}/" for path in paths)
        return [name for name in names if name.startswith(begins)]
    known = ModuleMap.read(folder)
    scopes = {} if known is None else known.scopes
    return [name for name in names if scopes.get(name.partition("/")[0]) in paths]
