"""The fused encoder layers of ``nn.TransformerEncoder``: torch's own successor of BetterTransformer."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError
from pytest_cpuaccel.core.inputs import Inputs


def _altered(subject: Subject) -> AlteredModel:
    """The model with nested tensors wherever torch can use them.

    Raises:
        BuildError: the model has no ``nn.TransformerEncoderLayer``, or the call runs none of them fused.
    """
    from torch import nn

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.operators import OperatorCalls, is_fused_encoder_layer

    module: Any = subject.fresh_module()
    layers = sum(isinstance(layer, nn.TransformerEncoderLayer) for layer in module.modules())
    if not layers:
        raise NothingToDoError(
            f"{type(module).__name__} has no nn.TransformerEncoderLayer, which alone has a fast path"
        )
    nested = enable_nested_tensors(module)
    module.forward = upstream.silent(module.forward)  # nested tensors warn that they are a prototype
    fused = OperatorCalls(is_fused_encoder_layer)

    def accepts(inputs: Inputs) -> bool:
        try:
            return fused_layers(module, inputs) == fused.count
        except Exception:
            return False

    def facts() -> dict[str, Scalar]:
        if not fused.count:
            raise BuildError(
                f"no layer of {type(module).__name__} took the fast path: it needs 3-d inputs, batch_first, an even "
                "number of heads, biases, ReLU or GELU, equal eps in both norms, and no two masks in one call"
            )
        return {"layers": layers, "fused_layers": fused.count, "nested_encoders": nested}

    return AlteredModel(module, facts, generate_of(module), accepts, first_call=fused)


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
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    requires=(Requirement("torch", ">=2.8"),),
)
