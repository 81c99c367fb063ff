"""BetterTransformer: Optimum's fused encoder layers, of the days before transformers had sdpa attention."""

from __future__ import annotations

from pathlib import Path

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model with its layers replaced; they write zeros at padded positions.

    Raises:
        BuildError: Optimum has no replacement for this model.
    """
    import torch

    from pytest_cpuaccel.build.tools import upstream
    from pytest_cpuaccel.build.tools.attention import with_attention
    from pytest_cpuaccel.build.tools.rehearsal import rehearse

    original = with_attention(subject.fresh_module(), "eager")  # the layers it knows are the eager ones
    with upstream.contained():
        from optimum.bettertransformer import BetterTransformer
        from optimum.bettertransformer.models.base import BetterTransformerBaseLayer

        module = BetterTransformer.transform(original, keep_original_model=False)
        replaced = sum(isinstance(layer, BetterTransformerBaseLayer) for layer in module.modules())
        if not replaced:
            raise BuildError(f"BetterTransformer replaced no layer of {type(original).__name__}")
        module.forward = upstream.silent(module.forward)  # its layers warn in every call
        rehearse(module, subject.inputs)
    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        facts={"threads": torch.get_num_threads(), "replaced_layers": replaced},
    )


BETTERTRANSFORMER = Backend(
    name="bettertransformer",
    summary="Optimum's BetterTransformer",
    load=load,
    requires=(
        Requirement("torch", ">=2.4"),
        Requirement("optimum", "<2", "Optimum 2.0 removed BetterTransformer"),
        Requirement(
            "transformers",
            ">=4.45,<4.49",
            "BetterTransformer refuses transformers from 4.49 on, use sdpa there",
        ),
    ),
)
