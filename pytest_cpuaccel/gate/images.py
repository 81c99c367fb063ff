"""Images for a model."""

from __future__ import annotations

from typing import Any

import torch

_HEIGHT, _WIDTH = 240, 320
"""Of the images that a processor gets, in pixels."""
_ANY_SIZE = 224
"""Pixels of height and width for a model whose configuration names none."""

Tensors = dict[str, torch.Tensor]


def processed(processor: Any, count: int) -> Tensors:
    """Return the tensors that a processor makes of ``count`` images."""
    import numpy as np

    generator = np.random.default_rng(count)
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    ramp = (rows[..., None] * (1, 2, 3) + columns[..., None] * (3, 2, 1)) % 200
    images = [(ramp + generator.integers(0, 56, ramp.shape)).astype(np.uint8) for _ in range(count)]
    return dict(processor(images=images, return_tensors="pt"))


def has_size(config: Any) -> bool:
    """Tell whether a configuration names the size of its images."""
    return hasattr(getattr(config, "vision_config", config), "image_size")


def of_any_size(config: Any, count: int) -> torch.Tensor:
    """Return pixel values (count, channels, height, width) for a model that takes images of any size."""
    channels = getattr(getattr(config, "vision_config", config), "num_channels", 3)
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, channels, _ANY_SIZE, _ANY_SIZE, generator=generator)
