"""Causal language models that are run from the start of the text at every step, without a key/value cache."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs

Tensors = dict[str, torch.Tensor]

_NOT_FOR_A_GRAPH = ("use_cache", "return_dict", "logits_to_keep", "num_logits_to_keep", "cache_position")
"""What ``generate()`` passes that changes no logit when there is no cache: the loop reads the last position."""


def _by_index(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
    return torch.arange(ids.shape[1]).expand(ids.shape)


def _by_mask(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
    return (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 1)


POSITIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "index": _by_index,
    "mask": _by_mask,
}
"""How models number positions when they are given none: they differ where the padding is on the left."""


def positions_rule(module: nn.Module, inputs: Inputs) -> str:
    """Return which of ``POSITIONS`` a model follows by itself; ``""`` when its forward takes no ``position_ids``.

    Found by asking the model, with a text padded on the left, under each rule.

    Raises:
        BuildError: it follows none of them.
    """
    signature = inspect.signature(module.forward)
    if "position_ids" not in signature.parameters:
        return ""
    given = signature.bind(*inputs.args, **inputs.kwargs).arguments
    ids = completed(given, "index")["input_ids"][:1, :1].repeat(1, 4)
    mask = torch.tensor([[0, 1, 1, 1]])
    with torch.no_grad():
        expected = module(input_ids=ids, attention_mask=mask).logits[:, 1:]
        for name, rule in POSITIONS.items():
            logits = module(input_ids=ids, attention_mask=mask, position_ids=rule(ids, mask)).logits[:, 1:]
            if torch.allclose(logits, expected, rtol=1e-3, atol=1e-3):
                return name
    raise BuildError(f"{type(module).__name__} numbers positions in a way of its own; pass position_ids")


def completed(given: Mapping[str, Any], positions: str) -> Tensors:
    """Return the arguments of a forward call with the mask and positions that the model would supply itself.

    Raises:
        BuildError: an argument that no cacheless graph has a place for.
    """
    arguments = {name: value for name, value in given.items() if value is not None and name not in _NOT_FOR_A_GRAPH}
    ids = arguments.pop("input_ids", None)
    if ids is None:
        raise BuildError("a decoder's graph takes input_ids; none were given")
    mask = arguments.pop("attention_mask", None)
    mask = torch.ones_like(ids) if mask is None else mask
    tensors = {"input_ids": ids, "attention_mask": mask}
    if positions:
        chosen = arguments.pop("position_ids", None)
        tensors["position_ids"] = POSITIONS[positions](ids, mask) if chosen is None else chosen
    if arguments:
        raise BuildError(f"the exported graph has no place for {', '.join(arguments)}")
    return tensors


def in_place_of(original: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``forward`` with the signature of ``original``, by which ``generate()`` sees what a model takes.

    Without ``mm_encoder_outputs``: transformers 5 encodes images before the loop where a model takes those, and
    hands on no image then.
    """

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    signature = inspect.signature(original)
    taken = [parameter for name, parameter in signature.parameters.items() if name != "mm_encoder_outputs"]
    call.__signature__ = signature.replace(parameters=taken)  # type: ignore[attr-defined]
    return call


def decoder(module: nn.Module, forward: Callable[..., Any]) -> nn.Module:
    """Return ``module``, a private copy, with ``forward`` in place of its own and without its weights."""
    module.forward = in_place_of(module.forward, forward)
    for parameter in module.parameters():
        parameter.data = parameter.data.new_empty(0)
    return module


def generate_without_cache(module: nn.Module) -> Callable[..., Any]:
    """Return the module's ``generate()``, in which every step runs the whole text through ``forward``."""

    def generate(*args: Any, **kwargs: Any) -> Any:
        return module.generate(*args, **(kwargs | {"use_cache": False}))  # type: ignore[operator]

    return generate
