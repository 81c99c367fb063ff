"""The export of an encoder-decoder: each of its three graphs by torch.export, proved on other sizes, and written."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import kv_cache
from pytest_cpuaccel.backends.toolkit.runtime import Runtime
from pytest_cpuaccel.backends.toolkit.seq2seq import CROSS, ENCODER, HIDDEN, Seq2Seq, encoder_outputs
from pytest_cpuaccel.backends.toolkit.shapes import Shape
from pytest_cpuaccel.backends.toolkit.torch_export import agree, guarded, placeholders
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Tensors = tuple[torch.Tensor, ...]

_PROVED = ((3, 6, 4, 5), (2, 3, 7, 0), (2, 5, 1, 6), (1, 1, 1, 0), (1, 4, 1, 9), (4, 1, 3, 1))
"""Batch, encoded tokens, new tokens and length of the cache, on which program and module are compared.

In the first of them, from which it is exported, all differ, so that none is taken for another.
"""

_ALLOWED = ((2, 3, 3, 5), (7, 2, 2, 3), (2, 61, 13, 2), (5, 17, 3, 1021), (2, 517, 61, 31))
"""Sizes that the program's guards must allow, standing for all from 2 up."""


class _Encoder(nn.Module):
    def __init__(self, module: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.encoder, self._names = module.get_encoder(), names

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        return (self.encoder(**dict(zip(self._names, tensors, strict=True))).last_hidden_state,)


class _Cross(nn.Module):
    """A step of one token, of which only cross-attention's keys and values are used: the rest is left out."""

    def __init__(self, module: nn.Module, plan: Seq2Seq) -> None:
        super().__init__()
        self.module, self._plan = module, plan

    def forward(self, hidden: torch.Tensor) -> Tensors:
        plan, ids = self._plan, torch.zeros((hidden.shape[0], 1), dtype=torch.long)
        cache = kv_cache.pair(kv_cache.first(len(plan.layout.layers)), kv_cache.first(len(plan.cross.layers)))
        self.module(encoder_outputs=encoder_outputs(hidden), decoder_input_ids=ids, **_caching(plan, cache))
        return tuple(tensor for layer in cache.cross_attention_cache.layers for tensor in (layer.keys, layer.values))


class _Step(nn.Module):
    def __init__(self, module: nn.Module, plan: Seq2Seq, width: int) -> None:
        super().__init__()
        self.module, self._plan, self._width = module, plan, width

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        plan, count = self._plan, len(self._plan.decoded)
        crossed, past = tensors[count : count + len(plan.crossed)], tensors[count + len(plan.crossed) :]
        cache = kv_cache.pair(kv_cache.filled(past), kv_cache.filled(crossed))
        keys = crossed[0]
        hidden = keys.new_zeros(keys.shape[0], keys.shape[2], self._width)  # of which the shape alone is read
        texts = dict(zip(plan.decoded, tensors, strict=False))
        answer = self.module(encoder_outputs=encoder_outputs(hidden), **texts, **_caching(plan, cache))
        return (answer.logits, *kv_cache.tensors_of(cache.self_attention_cache))


def _caching(plan: Seq2Seq, cache: Any) -> dict[str, Any]:
    return {plan.layout.argument: cache, "use_cache": True}


def export(runtime: Runtime, module: nn.Module, plan: Seq2Seq, width: int, folder: Path) -> None:
    """Write the three graphs to ``folder``.

    Raises:
        BuildError: one of them is not right for all batches and lengths.
    """
    hidden = torch.randn(3, 6, width, generator=torch.Generator().manual_seed(0))
    encoder, cross, step = _Encoder(module, plan.encoded), _Cross(module, plan), _Step(module, plan, width)
    for part in (ENCODER, CROSS):
        (folder / part).mkdir()
    sizes = [(batch, encoded) for batch, encoded, *_ in _ALLOWED]
    texts = [_encoded(plan, *size) for size in ((3, 6), (2, 5), (1, 1), (3, 1), (1, 7))]
    program = _program(encoder, texts, [[size] * len(plan.encoded) for size in sizes])
    runtime.converter.write(program, plan.encoded, (HIDDEN,), folder / ENCODER)
    hiddens = [(hidden,), (hidden[:1],), (hidden[:, :1].contiguous(),), (hidden[:1, :1].contiguous(),)]
    program = _program(cross, hiddens, [[(*size, width)] for size in sizes])
    runtime.converter.write(program, (HIDDEN,), plan.crossed, folder / CROSS)
    program = _program(step, [plan.example(*each) for each in _PROVED], [plan.shapes(*each) for each in _ALLOWED])
    runtime.write_step(program, plan.ports, folder)


def _encoded(plan: Seq2Seq, batch: int, length: int) -> Tensors:
    ids = plan.example(batch, length, length, 0)[0]
    return (ids, *[torch.ones_like(ids)] * (len(plan.encoded) - 1))


def _program(module: nn.Module, examples: Sequence[Tensors], allowed: Sequence[Sequence[Shape]]) -> ExportedProgram:
    """The program of a module over the first example, which answers all of them as it does.

    Raises:
        BuildError: it does not, or is not right for inputs of the allowed shapes.
    """
    example = examples[0]
    dynamic = tuple(dict.fromkeys((0, 2) if tensor.dim() == 4 else (0, 1), torch.export.Dim.AUTO) for tensor in example)
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=_as_given(module, dynamic), strict=False)
    shapes = guarded(placeholders(program, len(example)), example)
    if not all(map(shapes.include, allowed)):
        raise BuildError("a graph of it is not right for every batch and length")
    for other in examples:
        if not agree(module, program, other):
            sizes = ", ".join("x".join(map(str, tensor.shape)) for tensor in other)
            raise BuildFailureError(f"a graph of it is wrong for inputs of {sizes}")
    return program


def _as_given(module: nn.Module, dynamic: tuple[Any, ...]) -> Any:
    """As torch.export wants it: ``*tensors`` is one argument."""
    parameters = inspect.signature(module.forward).parameters.values()
    return (dynamic,) if any(item.kind is inspect.Parameter.VAR_POSITIONAL for item in parameters) else dynamic
