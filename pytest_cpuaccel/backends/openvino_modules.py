"""The operations of OpenVINO's IR that the modules of a model became."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import check_found
from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap
from pytest_cpuaccel.core.backend import Subject

_TRACED = "__module."
"""What the names of operations begin with in an IR of Optimum, which converts a trace: the module's path follows."""


def ignored_scope(model: Any, folder: Path, subject: Subject) -> Any:
    """Return NNCF's scope of the operations in modules that stay in fp32; None where there are none.

    ``folder`` is that of the artifact, with the map of its modules.

    Raises:
        BuildFailureError: no operation is known to come from what the user named.
    """
    import nncf

    if not subject.keep_fp32:
        return None
    made_in = dict(_modules_of(model, folder))
    check_found(subject, made_in.values())
    names = [name for name, path in made_in.items() if path in subject.keep_fp32]
    return nncf.IgnoredScope(names=names, validate=False)


def _modules_of(model: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """The names of operations, each with the path of the module that it comes from; "" where that isn't known."""
    names = [operation.get_friendly_name() for operation in model.get_ops()]
    if any(name.startswith(_TRACED) for name in names):
        yield from ((name, name.removeprefix(_TRACED).partition("/")[0]) for name in names if name.startswith(_TRACED))
        return
    known = ModuleMap.read(folder)
    scopes = {} if known is None else known.scopes
    yield from ((name, scopes.get(name.partition("/")[0], "")) for name in names)
