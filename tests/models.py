"""Tiny real models, made from configs, with weights large enough for a mistake to show in the outputs."""

from __future__ import annotations

import torch
from torch import nn

from pytest_cpuaccel.zoo.weights import redraw


class Mlp(nn.Module):
    """Plain torch: (batch, 16) -> (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Rounds(nn.Module):
    """Plain torch: (batch, 16) -> (batch, 4); as much work as there are rounds, and one answer."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.layer = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.rounds):
            output = self.layer(x)
        return output


class TwoHeads(nn.Module):
    """Plain torch with a dict of outputs and an optional input: (batch, 16) -> {"a": (batch, 4), "b": (batch, 2)}."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(16, 32)
        self.a = nn.Linear(32, 4)
        self.b = nn.Linear(32, 2)

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        hidden = torch.relu(self.body(x))
        if scale is not None:
            hidden = hidden * scale
        return {"a": self.a(hidden), "b": self.b(hidden)}


class Encoder(nn.Module):
    """torch's own encoder under a classifier: (batch, length) of ids, mask true at padding -> (batch, 3).

    Made without nested tensors, like one from before they were there.
    """

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.embedding = nn.Embedding(120, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **settings)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 3)

    def forward(self, ids: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(ids), src_key_padding_mask=padding)[:, 0])


def encoder(**settings: object) -> nn.Module:
    return redraw(Encoder(**settings))


def mlp() -> nn.Module:
    return redraw(Mlp())


def two_heads() -> nn.Module:
    return redraw(TwoHeads())


def cnn() -> nn.Module:
    """(batch, 1, 8, 8) -> (batch, 10), with batch normalisation."""
    return redraw(
        nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
    )


def bert_config(**changes: object):
    from transformers import BertConfig

    settings = {
        "vocab_size": 120,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    return BertConfig(**(settings | changes))


def bert_classifier(**changes: object) -> nn.Module:
    from transformers import BertForSequenceClassification

    return redraw(BertForSequenceClassification(bert_config(num_labels=3, **changes)))


def bert_qa() -> nn.Module:
    from transformers import BertForQuestionAnswering

    return redraw(BertForQuestionAnswering(bert_config()))


def bert_encoder(**changes: object) -> nn.Module:
    from transformers import BertModel

    return redraw(BertModel(bert_config(**changes)))


def vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_labels=10,
    )
    return redraw(ViTForImageClassification(config))


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=120, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    return redraw(GPT2LMHeadModel(config))


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return redraw(LlamaForCausalLM(config))


def tokens(batch: int = 2, length: int = 10, padding: int = 3) -> dict[str, torch.Tensor]:
    """Token ids with ``padding`` masked positions at the right end of every row but the first."""
    generator = torch.Generator().manual_seed(batch * 1000 + length)
    ids = torch.randint(5, 120, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    if padding:
        ids[1:, -padding:] = 0
        mask[1:, -padding:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def padded(batch: int = 2, length: int = 10) -> dict[str, torch.Tensor]:
    """``tokens`` as ``Encoder`` takes them."""
    given = tokens(batch, length)
    return {"ids": given["input_ids"], "padding": given["attention_mask"] == 0}


def digits(batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(batch)
    return {"pixel_values": torch.rand((batch, 1, 8, 8), generator=generator)}
