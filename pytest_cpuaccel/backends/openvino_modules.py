"""The operations of OpenVINO's IR that the modules of a model became."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap
from pytest_cpuaccel.core.errors import BuildFailureError

_TRACED = "__module."
"""What the names of operations begin with in an IR of Optimum, which converts a trace: the module's path follows."""


def ignored_scope(model: Any, folder: Path, paths: Collection[str]) -> Any:
    """Return NNCF's scope of the operations in the modules at these paths; None for no path.

    ``folder`` is that of the artifact, with the map of its modules.

    Raises:
        BuildFailureError: the artifact doesn't tell its modules.
    """
    import nncf

    if not paths:
        return None
    return nncf.IgnoredScope(names=_operations_in(model, folder, paths), validate=False)


def _operations_in(model: Any, folder: Path, paths: Collection[str]) -> list[str]:
    names = [operation.get_friendly_name() for operation in model.get_ops()]
    if any(name.startswith(_TRACED) for name in names):
        begins = tuple(f"{_TRACED}{path}/" for path in paths)
        return [name for name in names if name.startswith(begins)]
    known = ModuleMap.read(folder)
    if known is None:
        raise BuildFailureError("the exported graph doesn't name its modules, so that none of them can stay in fp32")
    values = {value for path in paths for value in known.values.get(path, ())}
    nodes = {
        operation.get_friendly_name().partition("/")[0]
        for operation in model.get_ops()
        if operation.get_type_name() != "Result"
        for port in operation.outputs()
        if not values.isdisjoint(port.get_names())
    }
    return [name for name in names if name.partition("/")[0] in nodes]
