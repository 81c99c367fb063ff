"""The models whose calls are timed, of three magnitudes, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class Example:
    """A model in eval mode, and what it is called with."""

    model: nn.Module
    inputs: Inputs


def mlp() -> Example:
    """Return a model whose calls take about 0.1 ms."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 8))
    return Example(layers.eval(), Inputs((torch.rand(8, 256),)))


def transformer() -> Example:
    """Return a model whose calls take about 1 ms."""
    return _bert(
        tokens=48, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=1000
    )


def bert_base() -> Example:
    """Return a model whose calls take about 100 ms."""
    return _bert(tokens=64)


MODELS: Mapping[str, Callable[[], Example]] = {"mlp": mlp, "transformer": transformer, "bert-base": bert_base}


def _bert(tokens: int, **config: int) -> Example:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(BertConfig(**config)).eval()
    ids = torch.randint(5, 1000, (1, tokens))
    return Example(model, Inputs(kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
