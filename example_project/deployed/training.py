"""Training by AdamW, with one cycle of the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

Examples = Mapping[str, torch.Tensor]
Loss = Callable[[PreTrainedModel, dict[str, Any]], torch.Tensor]


def own_loss(model: PreTrainedModel, examples: dict[str, Any]) -> torch.Tensor:
    """The loss that transformers computes where ``labels`` are among the examples."""
    return model(**examples).loss


def fit(model: PreTrainedModel, examples: Examples, *, epochs: int, batch: int, loss: Loss = own_loss) -> None:
    """Train ``model`` on ``examples``, tensors of equal length by name, of which ``loss`` gets a batch at a time."""
    count = len(next(iter(examples.values())))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * -(-count // batch))
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(count).split(batch):
            optimizer.zero_grad()
            loss(model, {name: values[chosen] for name, values in examples.items()}).backward()
            optimizer.step()
            schedule.step()
    model.eval()
