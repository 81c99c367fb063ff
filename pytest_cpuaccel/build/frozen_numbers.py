"""Numbers among a model's outputs, which an export may have written down as they were for its example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from pytest_cpuaccel.build.original import run_eager
from pytest_cpuaccel.build.workshop import Build
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildError


def check_numbers(call: Call, model: nn.Module, build: Build, backend: Backend) -> None:
    """Check that no number that a forward call returned is that of the example instead of the call's own.

    Raises:
        BuildError: one is.
    """
    if call.method == "generate" or isinstance(build.model.forward, nn.Module):  # which runs the model's own code
        return
    returned = dict(_numbers(call.output))
    suspects = {name: value for name, value in _numbers(build.subject.expected) if returned.get(name) == value}
    if not suspects:
        return
    for name, value in _numbers(run_eager(model, "forward", call.inputs)):
        if name in suspects and value != suspects[name]:
            raise BuildError(
                f"{backend.name}: output '{name or 'output'}' is {suspects[name]!r} as in the call it was built for; "
                f"eager's is {value!r}: a number that depends on the inputs must be returned as a tensor"
            )


def _numbers(output: Any) -> Iterator[tuple[str, Any]]:
    return ((name, leaf) for name, leaf in tree.named_leaves(output) if isinstance(leaf, (bool, int, float)))
