"""A sample: a small model to watch a backend with, and two calls of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Sample:
    """``make(seed)`` returns the model with weights of that seed; ``other`` are inputs of another batch size."""

    name: str
    make: Callable[[int], nn.Module]
    inputs: Mapping[str, torch.Tensor]
    other: Mapping[str, torch.Tensor]


class Digits(nn.Module):
    """Plain torch: images (batch, 1, 8, 8) -> {"scores": (batch, 10), "embedding": (batch, 32)}."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 3, padding=1)
        self.body = nn.Linear(512, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return scores of ten classes, and what they were computed from."""
        embedding = torch.tanh(self.body(torch.relu(self.convolution(images)).flatten(1)))
        return {"scores": self.head(embedding), "embedding": embedding}


def samples() -> tuple[Sample, ...]:
    """Return the samples that can be made here: plain torch, and an encoder and a decoder of transformers."""
    return tuple(_samples())


def redrawn(module: nn.Module, seed: int) -> nn.Module:
    """Return ``module`` in eval mode with matrices drawn anew, at 1/sqrt(fan in).

    At the usual scale of 0.02 outputs are so small that even a lost attention mask hardly shows.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() >= 2:
                drawn = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(drawn / parameter[0].numel() ** 0.5)
    return module.eval()


def _samples() -> Iterator[Sample]:
    yield Sample("plain", lambda seed: redrawn(Digits(), seed), {"images": _images(2)}, {"images": _images(3)})
    if importlib.util.find_spec("transformers") is not None:
        yield Sample("encoder", _encoder, _tokens(2, 10), _tokens(3, 7))
        yield Sample("decoder", _decoder, _tokens(2, 10), _tokens(3, 7))


def _encoder(seed: int) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=3,
    )
    return redrawn(BertForSequenceClassification(config), seed)


def _decoder(seed: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return redrawn(LlamaForCausalLM(config), seed)


def _images(batch: int) -> torch.Tensor:
    return torch.rand((batch, 1, 8, 8), generator=torch.Generator().manual_seed(batch))


def _tokens(batch: int, length: int) -> dict[str, torch.Tensor]:
    """Token ids with three masked positions at the right end of every row but the first."""
    generator = torch.Generator().manual_seed(batch)
    ids = torch.randint(5, 120, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    ids[1:, -3:] = mask[1:, -3:] = 0
    return {"input_ids": ids, "attention_mask": mask}
