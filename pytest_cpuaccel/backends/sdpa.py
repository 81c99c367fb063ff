"""transformers' models on torch's fused attention, ``scaled_dot_product_attention``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model rebuilt with ``attn_implementation="sdpa"``, after a call that did use it."""
    import torch

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.attention import SdpaCalls, with_attention
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    module: Any = with_attention(subject.fresh_module(), "sdpa")
    with upstream.contained(), SdpaCalls() as calls:
        rehearse(module, subject.inputs)
    if not calls.count:
        raise BuildError(
            f'{type(module).__name__} built with attn_implementation="sdpa" never called scaled_dot_product_attention'
        )
    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        facts={
            "threads": torch.get_num_threads(),
            "attention": module.config._attn_implementation,
            "sdpa_calls": calls.count,
        },
    )


SDPA = Backend(
    name="sdpa",
    summary="eager PyTorch with scaled_dot_product_attention",
    load=load,
    requires=(Requirement("torch", ">=2.8"), Requirement("transformers", ">=4.45")),
)
