"""Values among a model's outputs that an export may have frozen at those of its example call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.description import describe
from pytest_cpuaccel.core.equality import equal
from pytest_cpuaccel.core.errors import BuildFailureError
from pytest_cpuaccel.core.kv_cache import without_state


class _Form(Enum):
    TENSOR = 1
    NONE = 2
    VALUE = 3


Outputs = Mapping[str, Any]


def check_values(call: Call, model: nn.Module, build: Build, backend: Backend) -> None:
    """Check that a forward call returned its own values, not those of the example call.

    Values are numbers, text, arrays, objects and None, and the set of outputs.

    Raises:
        BuildError: a value is the example's.
    """
    if call.method == "generate" or isinstance(build.model.forward, nn.Module):  # this runs the model's own code
        return
    example, returned = _outputs(build.subject.expected), _outputs(call.output)
    suspects = {
        name: value
        for name, value in example.items()
        if not isinstance(value, torch.Tensor) and name in returned and equal(returned[name], value)
    }
    if suspects or (build.model.follows_example and not _is_example(call, build)):
        eager = _outputs(run_eager(model, "forward", call.inputs))
        if fault := _fault_of_form(example, returned, eager) or _fault_of_value(suspects, eager):
            raise BuildFailureError(f"{backend.name}: {fault}")


def _outputs(output: Any) -> Outputs:
    return {name or "output": leaf for name, leaf in tree.named_leaves(without_state(output))}


def _is_example(call: Call, build: Build) -> bool:
    inputs, example = call.inputs, build.subject.inputs
    return tree.same(inputs.args, example.args) and tree.same(dict(inputs.kwargs), dict(example.kwargs))


def _fault_of_form(example: Outputs, returned: Outputs, eager: Outputs) -> str:
    """Return how the set of eager's outputs differs from the one that the example and the call share."""
    forms, forms_of_eager = _forms(example), _forms(eager)
    if forms != _forms(returned) or forms == forms_of_eager:
        return ""
    if forms.keys() != forms_of_eager.keys():
        return (
            f"returns {_listed(forms)} as in the call it was built for; eager returns {_listed(forms_of_eager)}: the "
            "set of outputs must not depend on the inputs"
        )
    name = next(name for name in forms if forms[name] is not forms_of_eager[name])
    return (
        f"output '{name}' is {describe(example[name])} as in the call it was built for; eager's is "
        f"{describe(eager[name])}: whether an output is a tensor must not depend on the inputs"
    )


def _fault_of_value(suspects: Outputs, eager: Outputs) -> str:
    for name, value in suspects.items():
        if equal(eager.get(name), value) is False:
            kind = "number" if isinstance(value, (bool, int, float, complex)) else "value"
            shown, of_eager = describe(value), describe(eager.get(name))
            other = "has other values" if of_eager == shown else f"is {of_eager}"
            return (
                f"output '{name}' is {shown} as in the call it was built for; eager's {other}: a {kind} that depends "
                "on the inputs must be returned as a tensor"
            )
    return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _forms(outputs: Outputs) -> dict[str, _Form]:
    return {name: _form(leaf) for name, leaf in outputs.items()}


def _form(leaf: Any) -> _Form:
    if leaf is None:
        return _Form.NONE
    return _Form.TENSOR if isinstance(leaf, torch.Tensor) else _Form.VALUE
