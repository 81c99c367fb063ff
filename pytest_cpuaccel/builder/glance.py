"""A glance at weights: a cheap check whether a sample of them has changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

SAMPLE = 256
"""Numbers that are sampled of each tensor, evenly spread; all numbers of a smaller one."""

_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Glance:
    """``samples`` are 1-D views of ``tensors`` as integers, ``seen`` earlier values, ``places`` their addresses."""

    tensors: tuple[torch.Tensor, ...]
    places: tuple[int, ...]
    samples: tuple[torch.Tensor, ...]
    seen: tuple[torch.Tensor, ...]

    @staticmethod
    def at(tensors: Iterable[torch.Tensor]) -> Glance:
        """Sample those tensors that are contiguous."""
        plain = tuple(item for item in tensors if _is_plain(item))
        samples = tuple(map(_sample, plain))
        return Glance(plain, _places(plain), samples, _copied(samples))

    def is_what_it_was(self) -> bool:
        """Tell whether the sampled numbers are the same, bit for bit, and the tensors' addresses too."""
        return _places(self.tensors) == self.places and all(map(torch.equal, self.seen, _copied(self.samples)))


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) in (torch.Tensor, nn.Parameter)
        and tensor.layout is torch.strided
        and tensor.itemsize in _WORDS
        and not tensor.is_quantized
        and tensor.is_contiguous()
    )


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach().view(-1).view(_WORDS[tensor.itemsize])
    return flat[:: max(1, len(flat) // SAMPLE)]


def _places(tensors: tuple[torch.Tensor, ...]) -> tuple[int, ...]:
    return tuple(item.data_ptr() for item in tensors)


def _copied(samples: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The samples of each width, one after the other in one tensor."""
    by_width = ([item for item in samples if item.dtype is dtype] for dtype in _WORDS.values())
    return tuple(torch.cat(items) for items in by_width if items)
