"""Plain PyTorch with images laid out channel by channel within a pixel, the best layout for oneDNN's convolutions."""

from __future__ import annotations

from functools import partial
from typing import Any

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered, observe_altered
from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar, Subject
from pytest_cpuaccel.core.errors import NothingToDoError


def _altered(subject: Subject) -> AlteredModel:
    """The model with 4-d weights and inputs in ``torch.channels_last``.

    Raises:
        BuildError: the model has no 2-d convolution, the only operator that gains by the layout.
    """
    import torch
    from torch import nn

    from pytest_cpuaccel.core import tree

    module: Any = subject.fresh_module().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    convolutions = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    if not convolutions:
        raise NothingToDoError(f"{type(module).__name__} has no Conv2d, which alone gains by channels_last")

    def as_images(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.dim() == 4:
            return leaf.contiguous(memory_format=torch.channels_last)
        return leaf

    def forward(*args: Any, **kwargs: Any) -> Any:
        return module(*tree.map_leaves(as_images, args), **tree.map_leaves(as_images, kwargs))

    def facts() -> dict[str, Scalar]:
        laid_out = [layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in convolutions]
        return {"channels_last_convolutions": sum(laid_out)}

    return AlteredModel(forward, facts, generate_of(module), module=module)


CHANNELS_LAST = Backend(
    name="channels-last",
    summary="plain PyTorch with convolutions in channels_last",
    load=partial(load_altered, _altered),
    count_kernels=partial(torch_census.count, partial(load_altered, _altered)),
    observe=partial(observe_altered, _altered),
    requires=(Requirement("torch", ">=2.8"),),
)
