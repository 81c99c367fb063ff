"""The padding mask: which elements of an output stand for real tokens.

Backends disagree about padded positions, and rightly: nested-tensor kernels write zeros there, others leave
what attention to nothing gives. So padding is not compared, by these rules, for a mask (batch, sequence):

- an output (batch, sequence, ...) is masked by its first two dimensions;
- attentions (batch, heads, queries, keys) are masked at padded queries: an output named ``*attentions*``,
  or any 4-D one whose last two dimensions are both the sequence and whose second is not;
- an output (batch, sequence) is masked only if it is known to answer per token: ``start_logits``,
  ``end_logits``, or a name with ``token`` in it. Any other is an answer per row (``logits`` of ten labels,
  by chance ten tokens long), and masked only in rows that are padding throughout;
- in an encoder-decoder, ``encoder_*`` follows ``attention_mask`` and all else ``decoder_attention_mask``;
- without those, a bool input called ``*key_padding_mask`` is the mask, turned over: torch's layers mark padding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs

ENCODER_MASK = "attention_mask"
DECODER_MASK = "decoder_attention_mask"
PADDING_MASK = "key_padding_mask"
PER_TOKEN = ("start_logits", "end_logits")


def mask_for(name: str, inputs: Inputs, wanted: str | None, outputs: Iterable[str]) -> torch.Tensor | None:
    """Return the mask (batch, sequence), True where valid, that goes with output ``name``; None for none.

    ``wanted`` is the mark's ``mask``; ``outputs`` are the names of all outputs, which tell an
    encoder-decoder.

    Raises:
        UsageError: ``wanted`` is no input, or no tensor (batch, sequence).
    """
    if wanted == "":
        return None
    if wanted is None:
        is_decoder_answer = _is_encoder_decoder(inputs, outputs) and not name.startswith("encoder_")
        given = inputs.kwargs.get(DECODER_MASK if is_decoder_answer else ENCODER_MASK)
        return _as_mask(_turned_over(inputs) if given is None else given)
    if wanted not in inputs.kwargs:
        given = ", ".join(inputs.kwargs) or "none by keyword"
        raise UsageError(f'parity: mask={wanted!r} is no input of the call; inputs: {given} (mask="" for no mask)')
    mask = _as_mask(inputs.kwargs[wanted])
    if mask is None and inputs.kwargs[wanted] is not None:
        raise UsageError(f"parity: input {wanted!r} is no mask; a mask is (batch, sequence), 1 valid and 0 padding")
    return mask


def valid_elements(name: str, shape: torch.Size, mask: torch.Tensor | None) -> torch.Tensor:
    """Return which elements of an output of this shape are compared, as bools expanded to that shape."""
    if mask is None:
        return torch.tensor(True).expand(shape)
    batch, length = mask.shape
    if _is_attention(name, shape, batch, length):
        return mask[:, None, :, None].expand(shape)
    if tuple(shape[:2]) != (batch, length) or (len(shape) == 2 and not _is_per_token(name)):
        return _in_rows(mask, shape).expand(shape)
    return mask.reshape(batch, length, *[1] * (len(shape) - 2)).expand(shape)


def _in_rows(mask: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Whether a row holds anything but padding; True for an output that has other rows."""
    if not shape or shape[0] != len(mask):
        return torch.tensor(True)
    return mask.any(1).reshape(-1, *[1] * (len(shape) - 1))


def _turned_over(inputs: Inputs) -> torch.Tensor | None:
    """What the mask of torch's own attention layers leaves."""
    for name, value in inputs.kwargs.items():
        if name.endswith(PADDING_MASK) and isinstance(value, torch.Tensor) and value.dtype == torch.bool:
            return ~value
    return None


def _as_mask(value: Any) -> torch.Tensor | None:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.array(value))
    if not isinstance(value, torch.Tensor) or value.dim() != 2 or bool((value < 0).any()):
        return None  # negative values make an additive mask, in which 0 is valid
    return value.detach().cpu() != 0


def _is_encoder_decoder(inputs: Inputs, outputs: Iterable[str]) -> bool:
    return any(name.startswith("decoder_") for name in inputs.kwargs) or any(
        name.startswith("encoder_") for name in outputs
    )


def _is_attention(name: str, shape: torch.Size, batch: int, length: int) -> bool:
    if len(shape) != 4 or shape[0] != batch or shape[2] != length:
        return False
    return "attentions" in name or (shape[3] == length and shape[1] != length)


def _is_per_token(name: str) -> bool:
    last = name.split(".")[-1]
    return last in PER_TOKEN or "token" in last
