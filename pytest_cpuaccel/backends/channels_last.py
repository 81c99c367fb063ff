"""Plain PyTorch with images laid out channel by channel within a pixel, the best layout for oneDNN's convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return the model with 4-d weights and inputs in ``torch.channels_last``.

    Raises:
        BuildError: the model has no 2-d convolution, the only operator that gains by the layout.
    """
    import torch
    from torch import nn

    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse
    from pytest_cpuaccel.core import tree

    module: Any = subject.fresh_module().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    convolutions = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    if not convolutions:
        raise BuildError(f"{type(module).__name__} has no Conv2d, which alone gains by channels_last")

    def as_images(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.dim() == 4:
            return leaf.contiguous(memory_format=torch.channels_last)
        return leaf

    def forward(*args: Any, **kwargs: Any) -> Any:
        return module(*tree.map_leaves(as_images, args), **tree.map_leaves(as_images, kwargs))

    with upstream.contained():
        rehearse(forward, subject.inputs)
    return BuiltModel(
        forward=forward,
        generate=getattr(module, "generate", None),
        facts={
            "threads": torch.get_num_threads(),
            "channels_last_convolutions": sum(
                layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in convolutions
            ),
        },
    )


CHANNELS_LAST = Backend(
    name="channels-last",
    summary="plain PyTorch with convolutions in channels_last",
    load=load,
    requires=(Requirement("torch", ">=2.8"),),
)
