"""One module run alone, as a backend of reduced precision rounds it; no build is made for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import holds_factor, holds_floats
from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.diagnose.precision.ranking import Run
from pytest_cpuaccel.evaluation.fake_int8 import FakeInt8

_BF16 = "a copy of each module in bfloat16"
_INT8 = "eager's modules with weights rounded to int8 per channel and inputs per tensor, not on builds"
_BUILT = "the modules of the build itself"


def rounded_by(backend: Backend) -> Callable[[nn.Module], bool]:
    """Return what tells the modules that a backend rounds, so far as that is known."""
    if backend.quantises is not None:
        return backend.quantises
    return holds_factor if backend.precision is Precision.INT8 else holds_floats


def module_runs(backend: Backend, built: BuiltModel, model: nn.Module) -> tuple[Run, str]:
    """Return what runs a module alone, and says how: as part of the build where that is a module with such parts."""
    if backend.precision is Precision.BF16:
        return _in_bf16(model), _BF16
    if isinstance(built.forward, nn.Module) and _has_parts_of(built.forward, model, rounded_by(backend)):
        return _of_build(built.forward), _BUILT
    return _in_int8(model), _INT8


def _has_parts_of(built: nn.Module, model: nn.Module, rounds: Callable[[nn.Module], bool]) -> bool:
    there = dict(built.named_modules())
    parts = [(path, part) for path, part in model.named_modules() if path and rounds(part)]
    return any(path in there for path, _ in parts)


def _of_build(built: nn.Module) -> Run:
    parts = dict(built.named_modules())

    def run(call: ModuleCall) -> Any:
        if call.path not in parts:
            raise CpuaccelError(f"the build has no {call.path}")
        return _run(parts[call.path], call)

    return run


def _in_int8(model: nn.Module) -> Run:
    def run(call: ModuleCall) -> Any:
        with FakeInt8(per_tensor=True):
            return _run(model.get_submodule(call.path), call)

    return run


def _in_bf16(model: nn.Module) -> Run:
    def run(call: ModuleCall) -> Any:
        part = private_copy(model.get_submodule(call.path)).to(torch.bfloat16)
        return _run(part, call, torch.bfloat16)

    return run


def _run(part: nn.Module, call: ModuleCall, dtype: torch.dtype | None = None) -> Any:
    return tree.cast_floats(tree.clone(rehearse(part, private_inputs(call.inputs, dtype))), torch.float32)
