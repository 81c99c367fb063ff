"""Measures of error between one-dimensional fp64 tensors of finite values.

All are relative to the scale of the reference; where the reference is zero throughout, the scale is 1.
"""

from __future__ import annotations

import math

import torch

_CLOSE = 0.01
"""Square of the relative difference up to which two vectors are close."""


def rms(values: torch.Tensor) -> float:
    """Return the root mean square."""
    return float(values.square().mean().sqrt())


def relative_rmse(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Return ``RMS(values - reference) / RMS(reference)``."""
    return rms(values - reference) / (rms(reference) or 1.0)


def relative_max(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Return ``max|values - reference| / max|reference|``."""
    return float((values - reference).abs().max()) / (float(reference.abs().max()) or 1.0)


def cosine(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the cosine of the angle between the two; 1 if both are zero, 0 if one is."""
    lengths = float(values.norm()) * float(reference.norm())
    if lengths == 0:
        return float(torch.equal(values, reference))
    return min(1.0, max(-1.0, float(values @ reference) / lengths))


def cosine_of(values: float, reference: float, difference: float, product: float) -> float:
    """Return the cosine between two vectors, by the sums of squares of both and of their difference, and their product.

    Where they lie close, it is found from the difference, by the law of cosines: the product would lose its digits.
    """
    lengths = math.sqrt(values) * math.sqrt(reference)
    if lengths == 0:
        return float(difference == 0)
    if difference < _CLOSE * reference:
        apart = (values - reference) / (math.sqrt(values) + math.sqrt(reference))
        return min(1.0, 1 - (difference - apart**2) / (2 * lengths))
    return min(1.0, max(-1.0, product / lengths))


def sqnr_db(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the signal-to-noise ratio ``20 log10(RMS(reference) / RMS(values - reference))`` in dB."""
    noise = relative_rmse(values, reference)
    return math.inf if noise == 0 else -20 * math.log10(noise)


def used(difference: torch.Tensor, limit: torch.Tensor | float) -> torch.Tensor:
    """Return each difference as a share of its limit; a limit of zero allows a difference of zero only."""
    return torch.where(difference > 0, difference / limit, 0.0)


def top1_hits(actual: torch.Tensor, expected: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return where the argmax over the last dimension agrees: a bool for each position with a valid element.

    All three have the output's shape. Either of two equal maxima agrees with the other.
    """
    lowest = torch.finfo(torch.float64).min
    among = expected.masked_fill(~valid, lowest)
    chosen = actual.masked_fill(~valid, lowest).argmax(-1, keepdim=True)
    hits = among.gather(-1, chosen).squeeze(-1) == among.amax(-1)
    return hits[valid.any(-1)]
