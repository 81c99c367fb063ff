"""A failing output, as diagnoses look at it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.leaves import OutputPair


@dataclass(frozen=True)
class FailingOutput:
    """A pair of floating-point tensors, and the difference above which an element is off.

    ``mask`` (batch, sequence) is true where no padding is, None for no mask.
    """

    pair: OutputPair
    limit: float
    mask: torch.Tensor | None
    precision: Precision
