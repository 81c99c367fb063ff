"""Smaller checkpoints of the digits model: one with its least weights removed, one that learnt from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification

from deployed import digits
from deployed.checkpoint import trained_once
from deployed.training import fit

TEMPERATURE = 4.0
"""Softens the teacher's answers, so that the student also learns which wrong digits look alike."""


def pruned() -> Path:
    """Return the folder of the digits model without the 30 % of its linear weights that are nearest to zero."""
    return trained_once("digits-pruned", _prune)


def distilled() -> Path:
    """Return the folder of a student with an eighth of the digits model's parameters."""
    return trained_once("digits-distilled", _distil)


def _prune(folder: Path) -> None:
    model = ViTForImageClassification.from_pretrained(digits.checkpoint())
    weights = [(layer, "weight") for layer in model.modules() if isinstance(layer, nn.Linear)]
    prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=0.3)
    for layer, name in weights:
        prune.remove(layer, name)
    model.save_pretrained(folder)


def _distil(folder: Path) -> None:
    torch.manual_seed(0)
    teacher = ViTForImageClassification.from_pretrained(digits.checkpoint()).eval()
    student = ViTForImageClassification(
        ViTConfig(
            image_size=8,
            patch_size=2,
            num_channels=1,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            initializer_range=0.08,
            num_labels=10,
        )
    )
    images, labels = digits.seen()
    with torch.no_grad():
        softened = (teacher(pixel_values=images).logits / TEMPERATURE).softmax(-1)
    examples = {"pixel_values": images, "labels": labels, "softened": softened}
    fit(student, examples, epochs=60, batch=64, loss=_loss)
    student.save_pretrained(folder)


def _loss(student: PreTrainedModel, examples: dict[str, Any]) -> torch.Tensor:
    """The student's own loss, and its distance from the teacher (Hinton, Vinyals and Dean, arXiv:1503.02531)."""
    softened = examples.pop("softened")
    found = student(**examples)
    distance = nn.functional.kl_div((found.logits / TEMPERATURE).log_softmax(-1), softened, reduction="batchmean")
    return found.loss + TEMPERATURE**2 * distance
