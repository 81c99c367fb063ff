"""Sounds for a model."""

from __future__ import annotations

from typing import Any

import torch

Tensors = dict[str, torch.Tensor]


def extracted(extractor: Any, seconds: tuple[float, ...]) -> Tensors:
    """Return the tensors that a feature extractor makes of one sound for each of ``seconds``."""
    import numpy as np

    rate = int(extractor.sampling_rate)
    generator = np.random.default_rng(len(seconds))
    sounds = []
    for length in seconds:
        time = np.arange(int(length * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time)
        sounds.append((tone + 0.02 * generator.standard_normal(len(time))).astype(np.float32))
    return dict(extractor(sounds, sampling_rate=rate, padding=len(sounds) > 1, return_tensors="pt"))
