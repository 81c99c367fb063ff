"""Handwritten digits: a vision transformer trained on scikit-learn's 1797 images of 8 x 8 pixels."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from transformers import ViTConfig, ViTForImageClassification

from deployed.checkpoint import trained_once
from deployed.training import fit


def checkpoint() -> Path:
    """Return the folder of the trained model: 0.2 million parameters."""
    return trained_once("digits", _train)


def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 899 images that the model has not seen, (899, 1, 8, 8) in [-1, 1], and their labels."""
    return _halves()[1]


def seen() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 898 images that the model was trained on, and their labels."""
    return _halves()[0]


def _halves() -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 8 - 1
    labels = torch.tensor(data.target)
    trained_on, others = train_test_split(range(len(labels)), test_size=0.5, random_state=0, stratify=labels)
    return [(images[half], labels[half]) for half in (trained_on, others)]


def _train(folder: Path) -> None:
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        initializer_range=0.06,
        num_labels=10,
    )
    model = ViTForImageClassification(config)
    images, labels = seen()
    fit(model, {"pixel_values": images, "labels": labels}, epochs=25, batch=64)
    model.save_pretrained(folder)
