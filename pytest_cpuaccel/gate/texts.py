"""Texts for a model, as token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.errors import UsageError

SHORT = "The parcel has arrived."
LONG = (
    "My parcel was sent to the wrong address last week, and the courier left it in the rain. "
    "When I opened the box, two of the four cups were broken; I have kept them, and can send photographs. "
    "Please tell me how to get a refund for the broken ones, or whether you can send two new cups by Friday."
)
MIDDLE = "The invoice shows an amount that I have already paid, twice. Can you check it?"
_QUESTION = "What was broken?"
_CHOICES = ("It is a complaint.", "It is an order for new cups.")
_PAIRED = ("question-answering", "zero-shot-classification")
_MOST_TOKENS = 96
_SPECIAL = 4
"""Positions left free: those of special tokens, and the two that RoBERTa counts from."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Texts:
    """Texts of one call, which ``tokenizer`` turns into ids; ``limit`` is the most tokens of a row."""

    tokenizer: Any
    limit: int
    task: str | None
    generates: bool

    def tensors(self, rows: tuple[str, ...]) -> Tensors:
        """Return the ids (rows, tokens), or (rows, choices, tokens), and the masks."""
        if self.task == "multiple-choice":
            found = self._encoded([row for row in rows for _ in _CHOICES], [*_CHOICES] * len(rows))
            return {name: value.view(len(rows), len(_CHOICES), -1) for name, value in found.items()}
        if self.task in _PAIRED:
            return self._encoded([_QUESTION] * len(rows), list(rows))
        mask = self.tokenizer.mask_token
        if self.task == "fill-mask" and mask:
            return self._encoded([f"{mask} {row}" for row in rows])
        return self._encoded(list(rows))

    def _encoded(self, *texts: list[str]) -> Tensors:
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        if self.generates:
            self.tokenizer.padding_side = "left"
        found = self.tokenizer(
            *texts, padding=len(texts[0]) > 1, truncation=True, max_length=self.limit, return_tensors="pt"
        )
        return dict(found)


def check_vocabulary(tensors: Tensors, model: nn.Module, source: str) -> None:
    """Check that a model knows every token id.

    Raises:
        UsageError: the tokenizer is of another model.
    """
    size = _vocabulary(model)
    if "input_ids" in tensors and size is not None and int(tensors["input_ids"].max()) >= size:
        raise UsageError(
            f"{source!r}: its tokenizer gives id {int(tensors['input_ids'].max())}, and {type(model).__name__} has "
            f"{size} tokens; save the tokenizer that belongs to the model"
        )


def most_tokens(model: nn.Module, tokenizer: Any, new_tokens: int) -> int:
    """Return how long a text may be, in tokens, if ``new_tokens`` are to come after it."""
    limits = [*_positions(model, "max_source_positions"), getattr(tokenizer, "model_max_length", None)]
    known = [limit - _SPECIAL - new_tokens for limit in limits if isinstance(limit, int) and limit > 0]
    return max(2, min([_MOST_TOKENS, *known]))


def new_tokens(model: nn.Module, wanted: int) -> int:
    """Return how many tokens ``generate()`` is to make: ``wanted``, or half of the positions that the model has."""
    return max(1, min([wanted, *(limit // 2 for limit in _positions(model, "max_target_positions"))]))


def _positions(model: nn.Module, further: str) -> list[int]:
    """The numbers of positions in a configuration, and in those of a text model or a decoder in it."""
    config: Any = getattr(model, "config", None)
    configs = [getattr(config, "text_config", None) or config, getattr(config, "decoder", None)]
    names = ("max_position_embeddings", "n_positions", further)
    found = [getattr(each, name, None) for each in configs for name in names]
    return [limit for limit in found if isinstance(limit, int) and limit > 0]


def _vocabulary(model: Any) -> int | None:
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):
        return None
