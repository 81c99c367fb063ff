"""BetterTransformer: Optimum's fused encoder layers, made before transformers had sdpa attention."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered, observe_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError


def _altered(subject: Subject) -> AlteredModel:
    """The model with its layers replaced; they write zeros at padded positions.

    Raises:
        BuildError: Optimum has no replacement for this model, or one that computes or returns something else.
    """
    from optimum.bettertransformer import BetterTransformer
    from optimum.bettertransformer.models.base import BetterTransformerBaseLayer

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.attention import with_attention
    from pytest_cpuaccel.core import tree

    original = with_attention(subject.fresh_module(), "eager")  # the layers it knows are the eager ones
    activations = _activations(original)
    module = BetterTransformer.transform(original, keep_original_model=False)
    layers = [layer for layer in module.modules() if isinstance(layer, BetterTransformerBaseLayer)]
    if not layers:
        raise NothingToDoError(f"BetterTransformer replaced no layer of {type(original).__name__}")
    if any(getattr(layer, "use_gelu", False) for layer in layers) and activations - {"gelu"}:
        # It says "gelu" where it means GELU-like: ALBERT is off by 4e-4 then, CLIP by 4e-2.
        raise BuildError(f"BetterTransformer computes {', '.join(sorted(activations - {'gelu'}))} as gelu")
    module.forward = upstream.silent(module.forward)  # its layers warn in every call

    def check(answer: Any) -> None:
        if any(tensor.is_nested for tensor in tree.tensors(answer)):
            raise BuildError("BetterTransformer answers with nested tensors, without padding; leave hidden states out")

    return AlteredModel(module, lambda: {"replaced_layers": len(layers)}, generate_of(module), check_answer=check)


def _activations(module: Any) -> set[str]:
    """Names of the activations in the configs of a model and its parts."""
    from optimum.bettertransformer.models.base import KNOWN_ACTIVATION_ATTRIBUTES

    configs = [part.config for part in module.modules() if hasattr(part, "config")]
    return {
        getattr(config, name) for config in configs for name in KNOWN_ACTIVATION_ATTRIBUTES if hasattr(config, name)
    }


BETTERTRANSFORMER = Backend(
    name="bettertransformer",
    summary="Optimum's BetterTransformer",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    observe=partial(observe_altered, _altered),
    requires=(
        Requirement("torch", ">=2.8"),
        Requirement("optimum", "<2", "Optimum 2.0 removed BetterTransformer"),
        Requirement(
            "transformers",
            ">=4.45,<4.49",
            "BetterTransformer refuses transformers from 4.49 on, use sdpa there",
        ),
    ),
)
