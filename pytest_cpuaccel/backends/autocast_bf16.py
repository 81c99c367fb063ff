"""Plain PyTorch under autocast: weights in fp32, matrix products and convolutions in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.precision import Precision


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model under ``torch.autocast``; floats come out in eager's type.

    Raises:
        BuildError: the model does not run under autocast, or has no matrix product or convolution to run in bfloat16.
    """
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting
    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.operators import OperatorCalls, is_bf16_product
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    module: Any = subject.fresh_module()
    outside = casting.float_dtype(subject.expected)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    forward = casting.results_in(outside, autocast(module))
    products = OperatorCalls(is_bf16_product)
    with upstream.contained(), products:
        rehearse(forward, subject.inputs)
    if not products.count:
        raise BuildError(f"autocast ran no matrix product or convolution of {type(module).__name__} in bfloat16")
    return BuiltModel(
        forward=forward,
        generate=casting.results_in(outside, autocast(module.generate)) if hasattr(module, "generate") else None,
        facts={"threads": torch.get_num_threads(), "bf16_products": products.count},
    )


AUTOCAST_BF16 = Backend(
    name="autocast-bf16",
    summary="plain PyTorch under bfloat16 autocast",
    load=load,
    precision=Precision.BF16,
    requires=(Requirement("torch", ">=2.8"),),
)
