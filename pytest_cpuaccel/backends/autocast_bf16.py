"""Plain PyTorch under autocast: weights in fp32, matrix products and convolutions in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError
from pytest_cpuaccel.core.precision import Precision


def _altered(subject: Subject) -> AlteredModel:
    """The model under ``torch.autocast``; floats come out in eager's type."""
    import torch

    from pytest_cpuaccel.backends.toolkit import float_types as casting
    from pytest_cpuaccel.backends.toolkit.operators import OperatorCalls, is_bf16_product

    module = subject.fresh_module()
    outside = casting.float_dtype(subject.expected)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    products = OperatorCalls(is_bf16_product)

    def facts() -> dict[str, Scalar]:
        if not products.count:
            raise NothingToDoError(
                f"autocast ran no matrix product or convolution of {type(module).__name__} in bfloat16"
            )
        return {"bf16_products": products.count}

    def run(method: Callable[..., Any]) -> Callable[..., Any]:
        return casting.results_in(outside, autocast(method))

    return AlteredModel(run(module), facts, generate_of(module, run), first_call=products)


AUTOCAST_BF16 = Backend(
    name="autocast-bf16",
    summary="plain PyTorch under bfloat16 autocast",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    precision=Precision.BF16,
    requires=(Requirement("torch", ">=2.8"),),
)
