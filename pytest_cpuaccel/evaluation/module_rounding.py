"""One module run alone, as a backend of reduced precision rounds it; no build is made for that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import holds_factor, holds_floats
from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.diagnose.precision.ranking import Run
from pytest_cpuaccel.evaluation.fake_int8 import FakeInt8

_BF16 = "a copy of each module in bfloat16"
_INT8 = "eager's modules, with weights rounded to int8 per channel and inputs{} per tensor"
_BUILT = "the modules of the build itself"


def rounded_by(backend: Backend, model: nn.Module) -> frozenset[str]:
    """Return the paths of the modules that a backend rounds, so far as that is known."""
    usual = holds_factor if backend.precision is Precision.INT8 else holds_floats
    rounds = backend.quantises or usual
    return frozenset(path for path, module in model.named_modules() if path and rounds(module))


def module_runs(backend: Backend, built: BuiltModel, model: nn.Module, rounded: Collection[str]) -> tuple[Run, str]:
    """Return what runs a module alone, and says how: as part of the build where that has all ``rounded`` modules."""
    if backend.precision is Precision.BF16:
        return _in_bf16(model), _BF16
    if isinstance(built.forward, nn.Module):
        there = {path for path, _ in built.forward.named_modules()}
        if there.issuperset(rounded):
            return _of_build(built.forward), _BUILT
    return _in_int8(model, outputs=backend.calibrates), _INT8.format(" and outputs" * backend.calibrates)


def _of_build(built: nn.Module) -> Run:
    parts = dict(built.named_modules())
    return lambda call: _run(parts[call.path], call)


def _in_int8(model: nn.Module, *, outputs: bool) -> Run:
    copied = private_copy(model)

    def run(call: ModuleCall) -> Any:
        with FakeInt8(per_tensor=True, outputs=outputs):
            return _run(copied.get_submodule(call.path), call)

    return run


def _in_bf16(model: nn.Module) -> Run:
    def run(call: ModuleCall) -> Any:
        part = private_copy(model.get_submodule(call.path)).to(torch.bfloat16)
        return _run(part, call, torch.bfloat16)

    return run


def _run(part: nn.Module, call: ModuleCall, dtype: torch.dtype | None = None) -> Any:
    return tree.cast_floats(tree.clone(rehearse(part, private_inputs(call.inputs, dtype))), torch.float32)
