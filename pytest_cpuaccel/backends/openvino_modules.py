"""The operations of OpenVINO's IR that the modules of a model became."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import check_found, is_rounded
from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap
from pytest_cpuaccel.core.backend import Subject

_TRACED = "__module."
"""What the names of operations begin with in an IR of Optimum, which converts a trace: the module's path follows."""


def ignored_scope(model: Any, folder: Path, subject: Subject) -> Any:
    """Return NNCF's scope of the operations in modules that stay in fp32; None where there are none.

    Weights that these share with others are copied in ``model``. ``folder`` is that of the artifact, with the map of
    its modules.

    Raises:
        BuildFailureError: no operation is known to come from what the user named.
    """
    import nncf

    if not subject.keep_fp32:
        return None
    made_in = dict(_modules_of(model, folder))
    rounded = [operation for operation in model.get_ops() if is_rounded(operation.get_type_name())]
    made_in |= {operation.get_friendly_name(): _of_folded(operation, made_in) for operation in rounded}
    check_found(subject, {made_in[operation.get_friendly_name()] for operation in rounded})
    names = [name for name, path in made_in.items() if path in subject.keep_fp32]
    for operation in rounded:
        if operation.get_friendly_name() in names:
            _give_own_constants(operation)
    return nncf.IgnoredScope(names=names, validate=False)


def _of_folded(operation: Any, made_in: Mapping[str, str]) -> str:
    """The path of an operation's module; of a convolution that lost its name in a normalisation, that of the latter."""
    known = made_in.get(operation.get_friendly_name(), "")
    users = [each.get_node() for each in operation.output(0).get_target_inputs()]
    if known or len(users) != 1 or users[0].get_type_name() != "Add":
        return known
    has_bias = any(each.get_node().get_type_name() == "Constant" for each in users[0].input_values())
    return made_in.get(users[0].get_friendly_name(), "") if has_bias else ""


def _give_own_constants(operation: Any) -> None:
    """Give an operation copies of constants that it shares, as tied weights: NNCF rounds them for all that use them."""
    from openvino import opset13

    for port in operation.inputs():
        constant = port.get_source_output().get_node()
        if constant.get_type_name() == "Constant" and len(constant.output(0).get_target_inputs()) > 1:
            own = opset13.constant(constant.data.copy(), dtype=constant.get_element_type())
            port.replace_source_output(own.output(0))


def _modules_of(model: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """The names of operations, each with the path of the module that it comes from; "" where that isn't known."""
    names = [operation.get_friendly_name() for operation in model.get_ops()]
    if any(name.startswith(_TRACED) for name in names):
        yield from ((name, name.removeprefix(_TRACED).partition("/")[0]) for name in names if name.startswith(_TRACED))
        return
    known = ModuleMap.read(folder)
    scopes = {} if known is None else known.scopes
    yield from ((name, scopes.get(name.partition("/")[0], "")) for name in names)
