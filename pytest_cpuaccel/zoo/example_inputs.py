"""Example inputs of a transformers model, from its configuration and signature."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import torch
from torch import nn

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.zoo.optimum_inputs import SAMPLES_PER_TOKEN, optimum_example

Side = Literal["left", "right"]

_FIRST_ORDINARY_TOKEN = 5


def padding_mask(batch: int, length: int, side: Side) -> torch.Tensor:
    """Return a mask (batch, length) of ones, with zeros for the last or first third of every row but the first."""
    mask = torch.ones(batch, length, dtype=torch.long)
    padded = length // 3
    if padded:
        mask[1:, slice(-padded, None) if side == "right" else slice(padded)] = 0
    return mask


def left_padded(module: nn.Module, batch: int, length: int) -> Inputs:
    """Return inputs with texts padded on the left, as decoders want them."""
    return _example(module, batch, length, "left")


def right_padded(module: nn.Module, batch: int, length: int) -> Inputs:
    """Return inputs with texts and sounds padded on the right."""
    return _example(module, batch, length, "right")


def _example(module: nn.Module, batch: int, length: int, side: Side) -> Inputs:
    tensors = optimum_example(module, batch, length) or _by_config(module, batch, length)
    if "attention_mask" in tensors:
        padded = next(tensors[name] for name in ("input_ids", "input_values") if name in tensors)
        tensors["attention_mask"] = padding_mask(padded.shape[0], padded.shape[1], side)
    return Inputs(kwargs=tensors)


def _by_config(module: nn.Module, batch: int, length: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1000 * batch + length)
    config: Any = module.config
    text, image = getattr(config, "text_config", config), getattr(config, "vision_config", config)

    def tokens(count: int) -> torch.Tensor:
        return torch.randint(_FIRST_ORDINARY_TOKEN, text.vocab_size, (batch, count), generator=generator)

    def floats(*shape: int) -> torch.Tensor:
        return torch.randn((batch, *shape), generator=generator)

    makers = {
        "input_ids": lambda: tokens(length),
        "pixel_values": lambda: floats(getattr(image, "num_channels", 3), *_image_size(image)),
        "input_features": lambda: floats(config.num_mel_bins, 2 * config.max_source_positions),
        "input_values": lambda: floats(*_sound_shape(config, length)),
        "decoder_input_ids": lambda: tokens(max(1, length - 2)),
        "attention_mask": lambda: torch.ones(batch, length, dtype=torch.long),
    }
    taken = inspect.signature(module.forward).parameters
    names = [name for name in makers if name in taken]
    maskable = {"input_ids", "input_values"} & {*names}  # the mask of a spectrogram is for training alone
    return {name: makers[name]() for name in names if maskable or name != "attention_mask"}


def _image_size(config: Any) -> tuple[int, int]:
    """Height and width of an image; 32 for convolutional models that take any."""
    size = getattr(config, "image_size", 32)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return int(height), int(width)


def _sound_shape(config: Any, length: int) -> tuple[int, ...]:
    """Samples of a sound; frames and bins where the model reads a spectrogram of one length."""
    if hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):
        return int(config.max_length), int(config.num_mel_bins)
    return (SAMPLES_PER_TOKEN * length,)
