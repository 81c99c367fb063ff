"""The fused encoder layers of ``nn.TransformerEncoder``: torch's own successor of BetterTransformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model with nested tensors wherever torch can use them, after a call that ran fused layers.

    Raises:
        BuildError: the model has no ``nn.TransformerEncoderLayer``, or the call runs none of them fused.
    """
    import torch
    from torch import nn

    from pytest_cpuaccel.backends.toolkit import upstream

    module: Any = subject.fresh_module()
    layers = sum(isinstance(layer, nn.TransformerEncoderLayer) for layer in module.modules())
    if not layers:
        raise BuildError(f"{type(module).__name__} has no nn.TransformerEncoderLayer, which alone has a fast path")
    with upstream.contained():
        nested = enable_nested_tensors(module)
        module.forward = upstream.silent(module.forward)  # nested tensors warn that they are a prototype
        fused = fused_layers(module, subject.inputs)
    if not fused:
        raise BuildError(
            f"no layer of {type(module).__name__} took the fast path: it needs 3-d inputs, batch_first, an even number "
            "of heads, biases, ReLU or GELU, equal eps in both norms, and no two masks in one call"
        )

    def accepts(inputs: Inputs) -> bool:
        try:
            return fused_layers(module, inputs) == fused
        except Exception:
            return False

    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        accepts=accepts,
        facts={
            "threads": torch.get_num_threads(),
            "layers": layers,
            "fused_layers": fused,
            "nested_encoders": nested,
        },
    )


def enable_nested_tensors(module: Any) -> int:
    """Let every ``nn.TransformerEncoder`` that can leave padding out do so; return how many can."""
    from torch import nn

    encoders = [part for part in module.modules() if isinstance(part, nn.TransformerEncoder) and len(part.layers)]
    for encoder in encoders:
        like_it = nn.TransformerEncoder(encoder.layers[0], num_layers=0)  # torch's own answer whether its layers can
        encoder.enable_nested_tensor = encoder.use_nested_tensor = like_it.use_nested_tensor
    return sum(encoder.use_nested_tensor for encoder in encoders)


def fused_layers(module: Any, inputs: Inputs) -> int:
    """Return how many layers a call ran as torch's one fused operator."""
    from pytest_cpuaccel.backends.toolkit.operators import OperatorCalls, is_fused_encoder_layer
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    calls = OperatorCalls(is_fused_encoder_layer)
    with calls:
        rehearse(module, inputs)
    return calls.count


FASTPATH = Backend(
    name="fastpath",
    summary="nn.TransformerEncoder's fused layers, with nested tensors",
    load=load,
    requires=(Requirement("torch", ">=2.8"),),
)
