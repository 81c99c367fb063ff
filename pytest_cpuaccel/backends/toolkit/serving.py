"""A decoder's graph with a key/value cache, called like its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import decoding, kv_cache
from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Steps
from pytest_cpuaccel.backends.toolkit.seq2seq import Opened, encoder_outputs
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.backends.toolkit.step import KEEP, Step
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs

Forward = Callable[..., Any]


def forward_of(step: Step, steps: Steps) -> Forward:
    """Return the model's ``forward`` over a whole text, with the logits of every position."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        return _answer(step, steps, Inputs(args, kwargs), None, 0)

    return forward


def generate_of(step: Step, steps: Steps, shapes: Shapes, module: nn.Module) -> Callable[..., Any]:
    """Return the ``generate()`` of ``module``, a private copy, whose steps run the graph.

    Raises, when called:
        BuildError: a step is not one that the graph is right for.
    """

    def one(**kwargs: Any) -> Any:
        cache, arguments = kv_cache.split(kwargs)
        inputs = Inputs(kwargs=decoding.of_step(arguments))
        past = kv_cache.length_of(cache)
        if past:
            inputs = _with_mask(inputs, past)
        elif refusal := step.call.refusal(shapes, inputs):
            raise BuildError(f"generate() makes a call that the exported graph is not right for: {refusal}")
        kept = arguments.get(KEEP)
        answer = _answer(step, steps, inputs, cache, kept if isinstance(kept, int) else 0)
        return _with_cache(answer, step.layout, cache)

    generate: Callable[..., Any] = decoding.decoder(module, one).generate  # type: ignore[assignment]
    return generate


def _with_cache(answer: Any, layout: CacheLayout, cache: Any | None) -> Any:
    """Return a step's answer with the cache in it, because some loops read it there."""
    if cache is not None:
        setattr(answer, layout.argument, cache)
    return answer


def _with_mask(inputs: Inputs, past: int) -> Inputs:
    """Return a later step with a mask that covers the cache too, if the loop passes none."""
    if "attention_mask" in inputs.kwargs or "input_ids" not in inputs.kwargs:
        return inputs
    ids = inputs.kwargs["input_ids"]
    return Inputs(kwargs={**inputs.kwargs, "attention_mask": ids.new_ones(ids.shape[0], past + ids.shape[1])})


def _answer(step: Step, steps: Steps, inputs: Inputs, cache: Any | None, keep: int) -> Any:
    """Return the graph's answer, with logits of the last ``keep`` positions; 0 for all."""
    given = step.call.tensors(inputs.args, dict(inputs.kwargs))
    ready = [
        tensor.detach().to(example.dtype).contiguous() for tensor, example in zip(given, step.call.example, strict=True)
    ]
    if step.keeps:
        length = ready[0].shape[1]
        ready.append(torch.arange(max(0, length - keep) if keep else 0, length))
    return step.call.graph.rebuild(steps.run(tuple(ready), cache))


def seq2seq_forward_of(call: PreparedCall, opened: Opened) -> Forward:
    """Return an encoder-decoder's ``forward`` over whole texts."""
    names = call.graph.input_names

    def forward(*args: Any, **kwargs: Any) -> Any:
        texts = dict(zip(names, call.tensors(args, kwargs), strict=True))
        return call.graph.rebuild([opened.decode(texts, opened.encode(texts), None)])

    return forward


def seq2seq_generate_of(call: PreparedCall, opened: Opened, module: Any) -> Callable[..., Any]:
    """Return the ``generate()`` of ``module``, a private copy, whose encoder and steps run the graphs.

    Raises, when called:
        BuildError: a step has more than the graphs take.
    """
    known = {*opened.plan.encoded, *opened.plan.decoded, "encoder_outputs"}

    def one(**kwargs: Any) -> Any:
        cache, arguments = kv_cache.split(kwargs)
        given = decoding.of_step(arguments)
        if odd := [name for name in given if name not in known]:
            raise BuildError(f"generate() makes a call that the exported graphs have no place for: {', '.join(odd)}")
        answer = call.graph.rebuild([opened.decode(given, given["encoder_outputs"][0], cache)])
        return _with_cache(answer, opened.plan.layout, cache)

    def encode(*args: Any, **kwargs: Any) -> Any:
        texts = dict(zip(("input_ids",), args, strict=False)) | kwargs
        return encoder_outputs(opened.encode({name: value for name, value in texts.items() if value is not None}))

    encoder = module.get_encoder()
    encoder.forward = decoding.in_place_of(encoder.forward, encode)
    generate: Callable[..., Any] = decoding.decoder(module, one).generate  # type: ignore[assignment]
    return generate
