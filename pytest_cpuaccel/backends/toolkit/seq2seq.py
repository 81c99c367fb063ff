"""An encoder-decoder as three graphs: its encoder, the keys and values of cross-attention, and a decoder's step."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import kv_cache
from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Ports, Runtime, RuntimeSession, Steps
from pytest_cpuaccel.backends.toolkit.shapes import Shape
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError
from pytest_cpuaccel.core.inputs import Inputs

Tensors = tuple[torch.Tensor, ...]

HIDDEN, LOGITS = "encoder_hidden_states", "logits"
ENCODER, CROSS = "encoder", "cross"
"""Folders of the first two graphs; that of the step lies beside them."""

_DECODER_IDS, _DECODER_MASK = "decoder_input_ids", "decoder_attention_mask"


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

    @property
    def ports(self) -> Ports:
        """Return the names of a step's inputs and outputs."""
        return Ports((*self.decoded, *self.crossed), (LOGITS,), self.layout)

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


def encoder_outputs(hidden: torch.Tensor) -> Any:
    """Return what an encoder returns that answers this."""
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=hidden)


@dataclass(frozen=True)
class Opened:
    """The three graphs ready to run."""

    plan: Seq2Seq
    encoder: RuntimeSession
    cross: RuntimeSession
    steps: Steps

    @staticmethod
    def of(runtime: Runtime, plan: Seq2Seq, folder: Path, threads: int) -> Opened:
        """Open what :func:`seq2seq_export.export` wrote."""
        return Opened(
            plan,
            runtime.open(folder / ENCODER, plan.encoded, threads),
            runtime.open(folder / CROSS, (HIDDEN,), threads),
            runtime.open_step(folder, plan.ports, threads),
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
        raise BuildFailureError("the graphs answer two steps otherwise than eager")
