"""A small Llama that has learned the Zen of Python by heart, one byte a token."""

from __future__ import annotations

import codecs
import contextlib
import io
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from deployed.checkpoint import trained_once
from deployed.training import fit


def checkpoint() -> Path:
    """Return the folder of the trained model: 0.1 million parameters."""
    return trained_once("zen", _train)


def text() -> str:
    """Return what ``import this`` prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    return codecs.decode(this.s, "rot13")


def encoded(words: str) -> torch.Tensor:
    """Return token ids, (1, number of bytes)."""
    return torch.tensor([list(words.encode())])


def decoded(tokens: torch.Tensor) -> str:
    """Return the text of one row of token ids."""
    return bytes(tokens.tolist()).decode()


def _train(folder: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    windows = encoded(text())[0].unfold(0, 48, 1)
    fit(model, {"input_ids": windows, "labels": windows}, epochs=12, batch=32)
    model.save_pretrained(folder)
