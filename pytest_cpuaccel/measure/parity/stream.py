"""The tokens that a streamer was told, beside those that ``generate()`` returned."""

from __future__ import annotations

import torch

from pytest_cpuaccel.core.heard import Heard
from pytest_cpuaccel.core.measurement.stream import StreamMeasurement


def compare_stream(heard: Heard, returned: torch.Tensor) -> StreamMeasurement | None:
    """Return how a stream differs from the tokens (batch, length) of the same call; None where it does not."""
    if not heard.told:
        return StreamMeasurement("silent")
    told = _tokens(heard, len(returned))
    if told is None or told.shape[1] != returned.shape[1]:
        return StreamMeasurement("length", heard=0 if told is None else told.shape[1], returned=returned.shape[1])
    differing = (told != returned.cpu()).nonzero()
    if len(differing):
        row, position = differing[0].tolist()
        wrong = int(told[row, position]), int(returned[row, position])
        return StreamMeasurement("token", row, position, *wrong)
    return None if heard.is_ended else StreamMeasurement("endless")


def _tokens(heard: Heard, rows: int) -> torch.Tensor | None:
    """All that was told as (batch, length); None where it is no such thing."""
    parts = []
    for value in heard.told:
        part = value if isinstance(value, torch.Tensor) else torch.as_tensor(value)
        if part.is_floating_point() or part.dim() > 2:
            return None
        whole = part if part.dim() == 2 else part.reshape(1, -1) if rows == 1 else part.reshape(-1, 1)
        if len(whole) != rows:
            return None
        parts.append(whole)
    return torch.cat(parts, dim=1)
