"""The latest call of a model; an equal call shares its copies."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.eager import written_inputs
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import shared_memory


@dataclass(frozen=True)
class Latest:
    """The latest call and its build. An equal call shares its copies, because fresh memory costs page faults."""

    build: Build
    call: Call

    def takes(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether this is a call with the same inputs."""
        inputs = self.call.inputs
        return (
            method == self.call.method
            and tree.same(args, inputs.args)
            and tree.same(kwargs, inputs.kwargs)
            and not shared_memory((args, kwargs))
            and not shared_memory((inputs.args, inputs.kwargs))
        )

    def written(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return copies of the inputs that the call changed, by the input's name."""
        inputs = self.call.inputs
        return {name: tree.clone(leaf) for name, leaf in written_inputs(model, inputs, Inputs(args, kwargs)).items()}

    def followed_by(self, output: Any, rng_state: Any, written: dict[str, Any]) -> Latest:
        """Return the new latest call, after a call with the same inputs returned this."""
        is_same = rng_state is None and tree.same(output, self.call.output)
        if is_same and not written and not self.call.written:
            return self
        call = replace(self.call, output=tree.clone(output), rng_state=rng_state, written=written)
        return Latest(self.build, call)


def as_returned(output: Any, returned: int | str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the output. If eager fills and returns one of its inputs, return it in that input."""
    if returned is None:
        return output
    filled = args[returned] if isinstance(returned, int) else kwargs[returned]
    if filled is not output and isinstance(filled, MutableMapping):
        filled.clear()
        filled.update(output)
        return filled
    return output
