"""An encoder-decoder as three graphs: its encoder, the keys and values of cross-attention, and a decoder's step."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools import kv_cache
from pytest_cpuaccel.build.tools.export import agree, guarded, placeholders
from pytest_cpuaccel.build.tools.kv_cache import CacheLayout
from pytest_cpuaccel.build.tools.prepared import PreparedCall
from pytest_cpuaccel.build.tools.runtime import Runtime, Session, Steps
from pytest_cpuaccel.build.tools.shapes import Shape
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Tensors = tuple[torch.Tensor, ...]

HIDDEN, LOGITS = "encoder_hidden_states", "logits"
_ENCODER, _CROSS = "encoder", "cross"
"""Folders of the first two graphs; that of the step lies beside them."""

_DECODER_IDS, _DECODER_MASK = "decoder_input_ids", "decoder_attention_mask"

_PROVED = ((3, 6, 4, 5), (2, 3, 7, 0), (2, 5, 1, 6), (1, 1, 1, 0), (1, 4, 1, 9), (4, 1, 3, 1))
"""Batch, encoded tokens, new tokens and length of the cache, on which program and module are compared.

In the first of them, from which it is exported, all differ, so that none is taken for another.
"""

_ALLOWED = ((2, 3, 3, 5), (7, 2, 2, 3), (2, 61, 13, 2), (5, 17, 3, 1021), (2, 517, 61, 31))
"""Sizes that the program's guards must allow, standing for all from 2 up."""


@dataclass(frozen=True)
class Seq2Seq:
    """``layout`` is the cache of the decoder's own tokens, ``cross`` that of the encoded ones.

    ``encoded`` and ``decoded`` are the inputs of the encoder's and of the step's graph, those of caches left out.
    """

    encoded: tuple[str, ...]
    decoded: tuple[str, ...]
    layout: CacheLayout
    cross: CacheLayout

    @staticmethod
    def of(module: Any, call: PreparedCall, layout: CacheLayout, cross: CacheLayout) -> Seq2Seq:
        """Return the graphs of a call.

        Raises:
            BuildError: it has more than the tokens of two texts and their masks, or asks for more than logits.
        """
        graph, takes = call.graph, inspect.signature(module.get_encoder().forward).parameters
        texts = ("input_ids", "attention_mask", _DECODER_IDS, _DECODER_MASK)
        odd = [name for name, _ in graph.constants] + [name for name in graph.input_names if name not in texts]
        odd += [name for name, tensor in zip(graph.input_names, call.example, strict=True) if tensor.dim() != 2]
        odd += [name for name in graph.output_names if name != LOGITS]
        if odd or not {"input_ids", _DECODER_IDS} <= set(graph.input_names):
            raise BuildError(f"an encoder-decoder's graphs have no place for {', '.join(dict.fromkeys(odd))}")
        encoded = tuple(name for name in graph.input_names if name in takes and not name.startswith("decoder_"))
        others = [name for name in graph.input_names if name in ("attention_mask", _DECODER_MASK)]
        return Seq2Seq(encoded, (_DECODER_IDS, *others), layout, cross)

    @property
    def lengths(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the inputs that have the length of the encoded text, and those that have that of the decoded one."""
        return ("input_ids", "attention_mask"), (_DECODER_IDS, _DECODER_MASK)

    @property
    def crossed(self) -> tuple[str, ...]:
        """Return the names of cross-attention's keys and values."""
        return tuple(name.replace("past", "cross") for name in self.cross.inputs)

    def shapes(self, batch: int, encoded: int, length: int, past: int) -> list[Shape]:
        """Return the shapes of a step's inputs at these sizes."""
        lengths = {_DECODER_IDS: length, _DECODER_MASK: past + length, "attention_mask": encoded}
        caches = ((self.cross, encoded), (self.layout, past))
        return [
            *((batch, lengths[name]) for name in self.decoded),
            *((batch, heads, held, width) for cache, held in caches for heads, width in cache.sizes),
        ]

    def example(self, batch: int, encoded: int, length: int, past: int) -> Tensors:
        """Return inputs of a step of these sizes."""
        sizes = self.shapes(batch, encoded, length, past)
        texts = [torch.ones(size, dtype=torch.long) for size in sizes[: len(self.decoded)]]
        texts[0] = torch.arange(batch * length).reshape(batch, length) % 7 + 1
        for mask in texts[1:]:
            mask[0, : mask.shape[1] // 3] = 0
        return (*texts, *self.cross.of_length(batch, encoded), *self.layout.of_length(batch, past))


def layouts_of(module: nn.Module, inputs: Inputs) -> tuple[CacheLayout, CacheLayout, int]:
    """Return the caches of the decoder's own and of the encoded tokens, and the width of what the encoder returns.

    Raises:
        BuildError: the module returns no such caches.
    """
    with torch.no_grad():
        answer = module(*inputs.args, **{**inputs.kwargs, "use_cache": True})
    for name, cache in kv_cache.split_caches(answer).items():
        if hasattr(cache, "cross_attention_cache"):
            own, cross = (CacheLayout.of_cache(name, part) for part in _parts(cache))
            return own, cross, answer.encoder_last_hidden_state.shape[-1]
    raise BuildError(f"{type(module).__name__} returns no cache of its own and of the encoder's tokens")


def _parts(cache: Any) -> tuple[Any, Any]:
    return cache.self_attention_cache, cache.cross_attention_cache


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


def encoder_outputs(hidden: torch.Tensor) -> Any:
    """Return what an encoder returns that answers this."""
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=hidden)


def _caching(plan: Seq2Seq, cache: Any) -> dict[str, Any]:
    return {plan.layout.argument: cache, "use_cache": True}


def export(runtime: Runtime, module: nn.Module, plan: Seq2Seq, width: int, folder: Path) -> None:
    """Write the three graphs to ``folder``.

    Raises:
        BuildError: one of them is not right for all batches and lengths.
    """
    hidden = torch.randn(3, 6, width, generator=torch.Generator().manual_seed(0))
    encoder, cross, step = _Encoder(module, plan.encoded), _Cross(module, plan), _Step(module, plan, width)
    for part in (_ENCODER, _CROSS):
        (folder / part).mkdir()
    sizes = [(batch, encoded) for batch, encoded, *_ in _ALLOWED]
    texts = [_encoded(plan, *size) for size in ((3, 6), (2, 5), (1, 1), (3, 1), (1, 7))]
    program = _program(encoder, texts, [[size] * len(plan.encoded) for size in sizes])
    runtime.write(program, plan.encoded, (HIDDEN,), folder / _ENCODER)
    hiddens = [(hidden,), (hidden[:1],), (hidden[:, :1].contiguous(),), (hidden[:1, :1].contiguous(),)]
    program = _program(cross, hiddens, [[(*size, width)] for size in sizes])
    runtime.write(program, (HIDDEN,), plan.crossed, folder / _CROSS)
    program = _program(step, [plan.example(*each) for each in _PROVED], [plan.shapes(*each) for each in _ALLOWED])
    runtime.write_step(program, (*plan.decoded, *plan.crossed), (LOGITS,), plan.layout, folder)


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
            raise BuildError(f"a graph of it is wrong for inputs of {sizes}")
    return program


def _as_given(module: nn.Module, dynamic: tuple[Any, ...]) -> Any:
    """As torch.export wants it: ``*tensors`` is one argument."""
    parameters = inspect.signature(module.forward).parameters.values()
    return (dynamic,) if any(item.kind is inspect.Parameter.VAR_POSITIONAL for item in parameters) else dynamic


@dataclass(frozen=True)
class Opened:
    """The three graphs ready to run."""

    plan: Seq2Seq
    encoder: Session
    cross: Session
    steps: Steps

    @staticmethod
    def of(runtime: Runtime, plan: Seq2Seq, folder: Path, threads: int) -> Opened:
        """Open what :func:`export` wrote."""
        return Opened(
            plan,
            runtime.open(folder / _ENCODER, plan.encoded, threads),
            runtime.open(folder / _CROSS, (HIDDEN,), threads),
            runtime.open_step(folder, (*plan.decoded, *plan.crossed), (LOGITS,), plan.layout, threads),
        )

    def encode(self, texts: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return what the encoder answers, (batch, length, width); a text without a mask has none masked."""
        ids = texts["input_ids"]
        given = (texts.get(name, torch.ones_like(ids)) for name in self.plan.encoded)
        (hidden,) = self.encoder.run(tuple(tensor.long().contiguous() for tensor in given))
        return hidden

    def decode(self, texts: dict[str, torch.Tensor], hidden: torch.Tensor, cache: Any | None) -> torch.Tensor:
        """Return the logits of a step, (batch, new tokens, vocabulary). A cache keeps what became of ``hidden``."""
        own, cross = (None, None) if cache is None else _parts(cache)
        if kv_cache.length_of(cross):
            crossed = [tensor.contiguous() for tensor in kv_cache.tensors_of(cross)]
        else:
            crossed = self.cross.run((hidden.float().contiguous(),))
            if cache is not None:
                kv_cache.put(cross, crossed)
                cache.is_updated.update(dict.fromkeys(range(len(self.plan.cross.layers)), True))
        ids = texts[_DECODER_IDS]
        absent = {
            "attention_mask": torch.ones(hidden.shape[:2], dtype=torch.long),
            _DECODER_MASK: torch.ones(len(ids), kv_cache.length_of(own) + ids.shape[1], dtype=torch.long),
        }
        given = [texts.get(name, absent.get(name, ids)).long().contiguous() for name in self.plan.decoded]
        (logits,) = self.steps.run((*given, *crossed), own)
        return logits


def check(opened: Opened, module: nn.Module) -> None:
    """Check of graphs that a runtime opened that they answer two steps as the module does.

    Raises:
        BuildError: they do not.
    """
    ids, decoded = (torch.arange(10).reshape(2, 5) % 7 + 1, torch.arange(8).reshape(2, 4) % 5 + 1)
    mask = torch.tensor([[1] * 5, [1] * 3 + [0] * 2])
    with torch.no_grad():
        expected = module(input_ids=ids, attention_mask=mask, decoder_input_ids=decoded).logits
    hidden = opened.encode({"input_ids": ids, "attention_mask": mask})
    cache = kv_cache.pair(kv_cache.empty(), kv_cache.empty())
    steps = (decoded[:, :3], decoded[:, 3:])
    texts = [{_DECODER_IDS: tokens, "attention_mask": mask} for tokens in steps]
    actual = torch.cat([opened.decode(each, hidden, cache) for each in texts], dim=1)
    if not (actual - expected).norm() <= 0.02 * expected.norm():
        raise BuildError("the graphs answer two steps otherwise than eager")
