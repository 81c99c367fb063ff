"""The reference: what eager returns for a call, and what it returns in other precisions."""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.build.fingerprint import inputs_digest, model_digest
from pytest_cpuaccel.build.original import private_copy, run_eager
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError, EagerError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.agreement import self_agreement
from pytest_cpuaccel.measure.parity.comparison import References
from pytest_cpuaccel.measure.parity.defaults import REDUCED
from pytest_cpuaccel.measure.parity.reordered import reordered
from pytest_cpuaccel.measure.parity.selection import of_outputs, selected

_DTYPES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}

_KEPT = 256
"""References kept: the same calls come again under the next backend."""


@dataclass
class ReferenceBook:
    """Runs the eager model once for each call and precision, however many backends are held to it."""

    _pages: OrderedDict[tuple[str, ...], References] = field(default_factory=OrderedDict)

    def references(self, model: nn.Module, call: Call, precision: Precision, only: tuple[str, ...] = ()) -> References:
        """Return eager's outputs for a forward call: fp32, fp64, and in the backend's own precision.

        Raises:
            EagerError: eager raises, or disagrees with itself in the outputs of these names (none: in any).
        """
        key = (model_digest(model), inputs_digest(call.inputs), precision.value)
        if key not in self._pages:
            self._pages[key] = _run(model, call.inputs, precision)
            if len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        return agreeing(self._pages[key], only)


def run_in(model: nn.Module, inputs: Inputs, dtype: torch.dtype) -> Any | None:
    """Return eager's output with weights and float inputs in ``dtype``; None where the model can't run so."""
    cast = Inputs(tree.cast_floats(inputs.args, dtype), tree.cast_floats(dict(inputs.kwargs), dtype))
    try:
        return run_eager(_in_dtype(model, model_digest(model), dtype), "forward", cast)
    except CpuaccelError:
        return None


def rounded(model: nn.Module, inputs: Inputs, precision: Precision) -> Any | None:
    """Return eager's output, in fp32, when run in a precision; None where the model can't run so, or none is meant."""
    if precision is Precision.FAST_GELU:
        with _FastGelu():
            return run_eager(model, "forward", inputs)
    dtype = _DTYPES.get(precision)
    return None if dtype is None else tree.cast_floats(run_in(model, inputs, dtype), torch.float32)


def _run(model: nn.Module, inputs: Inputs, precision: Precision) -> References:
    expected = run_eager(model, "forward", inputs)
    repeated, found = selected(lambda: run_eager(model, "forward", inputs), expected)
    expected64, exact = selected(lambda: run_in(model, inputs, torch.float64), expected)
    rounding = expected if precision is Precision.FP32 else rounded(model, inputs, precision)
    in_loops = None if precision in REDUCED else reordered(lambda: run_eager(model, "forward", inputs))
    return References(expected, expected64, rounding, in_loops, of_outputs(expected, found, exact), repeated)


def agreeing(references: References, only: tuple[str, ...]) -> References:
    """Return the references.

    Raises:
        EagerError: eager disagrees with itself in the outputs of these names (none: in any).
    """
    disagreement = self_agreement(references.expected, references.repeated, only)
    if disagreement:
        raise EagerError(disagreement)
    return references


class _FastGelu(TorchFunctionMode):
    """Approximates, while entered, every GELU by tanh."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        return func(*args, **(given | {"approximate": "tanh"} if func is torch.nn.functional.gelu else given))


@functools.lru_cache(maxsize=2)
def _in_dtype(model: nn.Module, digest: str, dtype: torch.dtype) -> nn.Module:  # noqa: ARG001
    """A copy in another precision; ``digest`` makes a changed model a new one."""
    copied = private_copy(model)
    copied._apply(lambda tensor: _cast(tensor, dtype))  # type: ignore[no-untyped-call]
    return copied


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``to`` would drop the imaginary part of complex weights, which have no bf16 or fp16."""
    if tensor.is_complex():
        return tensor.to(torch.complex128) if dtype is torch.float64 else tensor
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
