"""Training by AdamW, with one cycle of the learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel


def fit(model: PreTrainedModel, examples: Mapping[str, torch.Tensor], *, epochs: int, batch: int) -> None:
    """Train ``model`` on ``examples``, keyword arguments of its forward with ``labels`` among them."""
    count = len(examples["labels"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * -(-count // batch))
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(count).split(batch):
            loss = model(**{name: values[chosen] for name, values in examples.items()}).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
