"""Plain PyTorch with weights and activations in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.precision import Precision


def _altered(subject: Subject) -> AlteredModel:
    """The model in bfloat16; floats are cast on the way in, and back to eager's type on the way out."""
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting

    module = subject.fresh_module().to(torch.bfloat16)
    outside = casting.float_dtype(subject.expected)

    def cast(method: Callable[..., Any]) -> Callable[..., Any]:
        return casting.results_in(outside, casting.arguments_in(torch.bfloat16, method))

    def facts() -> dict[str, Scalar]:
        return {"dtype": str(casting.float_dtype(list(module.parameters())))}

    return AlteredModel(cast(module), facts, generate_of(module, cast))


BF16 = Backend(
    name="bf16",
    summary="plain PyTorch in bfloat16",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    precision=Precision.BF16,
    requires=(Requirement("torch", ">=2.8"),),
)
