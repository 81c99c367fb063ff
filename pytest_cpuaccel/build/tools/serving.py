"""A decoder's graph with a key/value cache, called like the model that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools import decoding, kv_cache
from pytest_cpuaccel.build.tools.runtime import Steps
from pytest_cpuaccel.build.tools.shapes import Shapes
from pytest_cpuaccel.build.tools.step import KEEP, Step
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
            raise BuildError(f"generate() calls for what the exported graph is not right for: {refusal}")
        kept = arguments.get(KEEP)
        return _answer(step, steps, inputs, cache, kept if isinstance(kept, int) else 0)

    generate: Callable[..., Any] = decoding.decoder(module, one).generate  # type: ignore[assignment]
    return generate


def _with_mask(inputs: Inputs, past: int) -> Inputs:
    """A later step with a mask that covers the cache too, where the loop hands on none."""
    if "attention_mask" in inputs.kwargs or "input_ids" not in inputs.kwargs:
        return inputs
    ids = inputs.kwargs["input_ids"]
    return Inputs(kwargs={**inputs.kwargs, "attention_mask": ids.new_ones(ids.shape[0], past + ids.shape[1])})


def _answer(step: Step, steps: Steps, inputs: Inputs, cache: Any | None, keep: int) -> Any:
    """The graph's answer, with logits of the last ``keep`` positions; 0 for all."""
    given = step.call.tensors(inputs.args, dict(inputs.kwargs))
    ready = [
        tensor.detach().to(example.dtype).contiguous() for tensor, example in zip(given, step.call.example, strict=True)
    ]
    if step.keeps:
        length = ready[0].shape[1]
        ready.append(torch.arange(max(0, length - keep) if keep else 0, length))
    return step.call.graph.rebuild(steps.run(tuple(ready), cache))
