"""A run of eager in fp64 and one in fp32, module by module: what the right answers are, and how far rounding goes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall, ModuleCalls
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.cast_copy import cast_copy
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.builder.state.snapshot import take_after
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.diagnose.localize.error import TensorError, floats_of, worst_error

_SOFTMAX = frozenset((functional.softmax, torch.softmax, torch.Tensor.softmax))


class _WholeSoftmax(TorchFunctionMode):
    """Keeps softmax in fp64, where a model asks for fp32.

    A mask of the least number in fp64 is infinite in fp32, and where it covers a whole row, as at padding on the left,
    softmax gives NaN, which the next layer spreads to all positions.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func``, in the type that it was given."""
        given = kwargs or {}
        if func in _SOFTMAX and given.get("dtype") is torch.float32 and args and args[0].dtype is torch.float64:
            given = {**given, "dtype": torch.float64}
        return func(*args, **given)


@dataclass(frozen=True)
class EagerModules:
    """``exact`` and ``rounded`` hold the calls of the modules in fp64 and fp32, by place, parts before the whole."""

    exact: dict[str, ModuleCall]
    rounded: dict[str, ModuleCall]
    mask: torch.Tensor | None

    @property
    def root(self) -> ModuleCall:
        """Return the call of the model itself."""
        return self.exact[""]

    def parts_of(self, place: str) -> list[ModuleCall]:
        """Return the calls that a module's call made itself."""
        return [call for call in self.exact.values() if call.within == place]

    def answer_of(self, path: str, inputs: Inputs) -> Any:
        """Return what eager's module returned for these inputs, those of one of its calls."""
        calls = [call for call in self.rounded.values() if call.path == path]
        return next((call.output for call in calls if call.inputs is inputs), calls[0].output)

    def error_of(self, place: str, output: Any) -> TensorError | None:
        """Return the error of what a backend's module returned."""
        return worst_error(output, self.rounded[place].output, self.exact[place].output, self.mask)


def eager_modules(model: nn.Module, call: Call) -> EagerModules:
    """Return what eager's modules give for a call, of private copies of the model.

    Raises:
        BuildError: the model can't be copied, or its modules return more than may be kept.
    """
    call = replace(call, inputs=_without_cache(model, call.inputs))
    exact = _calls_of(cast_copy(model, torch.float64), model, call, torch.float64)
    if any(_has_nan(leaf) for item in exact.values() for leaf in floats_of(item.output).values()):
        with _WholeSoftmax():  # which keeps torch from the nested tensors that it makes otherwise
            exact = _calls_of(cast_copy(model, torch.float64), model, call, torch.float64)
    rounded = _calls_of(private_copy(model), model, call, None)
    shared = [place for place in exact if place in rounded]
    return EagerModules(
        {place: exact[place] for place in shared}, {place: rounded[place] for place in shared}, _mask(call.inputs)
    )


def _has_nan(tensor: torch.Tensor) -> bool:
    rows = tensor.unbind() if tensor.is_nested else (tensor,)
    return any(bool(row.isnan().any()) for row in rows)


def _calls_of(copied: nn.Module, model: nn.Module, call: Call, dtype: torch.dtype | None) -> dict[str, ModuleCall]:
    take_after(copied, model)
    calls = ModuleCalls()
    with torch.random.fork_rng(devices=[]), calls.watching(copied):
        if call.rng_state is not None:
            torch.set_rng_state(call.rng_state)
        rehearse(copied, private_inputs(call.inputs, dtype))
    return {item.place: item for item in calls.finished}


def _without_cache(model: nn.Module, inputs: Inputs) -> Inputs:
    """The inputs without a cache that nobody asked for: modules that take one can't be built alone."""
    takes = "use_cache" in inspect.signature(model.forward).parameters
    return Inputs(inputs.args, {"use_cache": False, **inputs.kwargs}) if takes and not inputs.args else inputs


def _mask(inputs: Inputs) -> torch.Tensor | None:
    mask = inputs.kwargs.get("attention_mask")
    return mask.bool() if isinstance(mask, torch.Tensor) and mask.dim() == 2 else None
