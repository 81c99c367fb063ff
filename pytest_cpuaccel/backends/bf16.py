"""Plain PyTorch with weights and activations in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.precision import Precision


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model in bfloat16; floats are cast on the way in, and back to eager's type on the way out.

    Raises:
        BuildError: the model does not run in bfloat16.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting
    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    module: Any = subject.fresh_module().to(torch.bfloat16)
    outside = casting.float_dtype(subject.expected)

    def cast(function: Callable[..., Any]) -> Callable[..., Any]:
        return casting.results_in(outside, casting.arguments_in(torch.bfloat16, function))

    forward = cast(module)
    with upstream.contained():
        rehearse(forward, subject.inputs)
    return BuiltModel(
        forward=forward,
        generate=cast(module.generate) if hasattr(module, "generate") else None,
        facts={
            "threads": torch.get_num_threads(),
            "dtype": str(casting.float_dtype(list(module.parameters()))),
        },
    )


BF16 = Backend(
    name="bf16",
    summary="plain PyTorch in bfloat16",
    load=load,
    precision=Precision.BF16,
    requires=(Requirement("torch", ">=2.8"),),
)
