"""transformers' models on torch's fused attention, ``scaled_dot_product_attention``."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered, observe_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError


def _altered(subject: Subject) -> AlteredModel:
    """The model rebuilt with ``attn_implementation="sdpa"``, whose first call has to use it."""
    from pytest_cpuaccel.backends.toolkit.attention import SdpaCalls, with_attention

    module: Any = with_attention(subject.fresh_module(), "sdpa")
    calls = SdpaCalls()

    def facts() -> dict[str, Scalar]:
        if not calls.count:
            raise NothingToDoError(
                f'{type(module).__name__} built with attn_implementation="sdpa" never called '
                "scaled_dot_product_attention"
            )
        return {"attention": module.config._attn_implementation, "sdpa_calls": calls.count}

    return AlteredModel(module, facts, generate_of(module), first_call=calls)


SDPA = Backend(
    name="sdpa",
    summary="eager PyTorch with scaled_dot_product_attention",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    observe=partial(observe_altered, _altered),
    requires=(Requirement("torch", ">=2.8"), Requirement("transformers", ">=4.45")),
)
