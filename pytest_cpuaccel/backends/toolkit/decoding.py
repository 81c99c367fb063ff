"""Causal language models that are run from the start of the text at every step, without a key/value cache."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.weights import drop_weights
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import STATE_OUTPUTS, is_cache

_LAST_LOGITS = ("logits_to_keep", "num_logits_to_keep")
"""Arguments by which ``generate()`` asks for the last position alone; it reads no other."""

_STEP_ALONE = ("use_cache", "return_dict", "cache_position", *_LAST_LOGITS)
"""Arguments of each step that change no logit of the last position if there is no cache."""

_WITHOUT_EFFECT = {("use_cache", "True"), ("use_cache", "False"), ("return_dict", "True")}
"""Constants that change no answer."""


def _by_index(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.arange(mask.shape[1])[-ids.shape[1] :].expand(ids.shape)


def _by_mask(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 1)[:, -ids.shape[1] :]


GIVEN = "given"
"""The rule of a model that numbers positions in its own way: every call must bring them."""

POSITIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "index": _by_index,
    "mask": _by_mask,
}
"""Rules by which models number positions that a call leaves out; they differ for padding on the left.

The ids are (batch, length). The mask, (batch, past + length), covers the tokens in the cache too.
"""


def positions_rule(module: nn.Module, inputs: Inputs) -> str:
    """Return which of ``POSITIONS`` a model follows by itself; ``""`` when its forward takes no ``position_ids``.

    The model is run on a text padded on the left, under each rule. ``GIVEN`` if it follows none of them, or can't run
    on a text alone, and the call has positions.

    Raises:
        BuildError: it follows none of them, and the call has no positions.
    """
    signature = inspect.signature(module.forward)
    if "position_ids" not in signature.parameters:
        return ""
    given = _given(signature, inputs)
    if not isinstance(given.get("input_ids"), torch.Tensor):
        raise BuildError(f"a decoder's graph takes input_ids; given were {', '.join(given)}")
    rule = _rule(module, given["input_ids"]) if given["input_ids"].dim() == 2 else None
    if rule is None and given.get("position_ids") is None:
        raise BuildError(f"{type(module).__name__} numbers positions in a way of its own; pass position_ids")
    return GIVEN if rule is None else rule


def _rule(module: nn.Module, ids: torch.Tensor) -> str | None:
    ids = ids[:1, -1:].repeat(1, 4)  # the last token, because the first may stand for an image
    mask = torch.tensor([[0, 1, 1, 1]])
    with torch.no_grad():
        expected = module(input_ids=ids, attention_mask=mask).logits[:, 1:]
        for name, rule in POSITIONS.items():
            logits = module(input_ids=ids, attention_mask=mask, position_ids=rule(ids, mask)).logits[:, 1:]
            if torch.allclose(logits, expected, rtol=1e-3, atol=1e-3):
                return name
    return None


def completed(given: Mapping[str, Any], positions: str) -> dict[str, Any]:
    """Return the arguments of a forward call with the mask and positions that the model would supply itself.

    Constants stay, except those without effect.

    Raises:
        BuildError: there are no token ids, or a cache, for which no cacheless graph has a place.
    """
    arguments = {
        name: value
        for name, value in given.items()
        if value is not None and not (_is_constant(value) and (name, repr(value)) in _WITHOUT_EFFECT)
    }
    ids = arguments.pop("input_ids", None)
    if ids is None:
        raise BuildError("a decoder's graph takes input_ids; none were given")
    caches = [name for name, value in arguments.items() if is_cache(value) or name in STATE_OUTPUTS]
    if caches:
        raise BuildError(f"the exported graph has no place for {', '.join(caches)}")
    mask = arguments.pop("attention_mask", None)
    mask = torch.ones_like(ids) if mask is None else mask
    chosen = arguments.pop("position_ids", None)
    tensors = {"input_ids": ids, "attention_mask": mask}
    if positions and chosen is None and positions not in POSITIONS:
        raise BuildError("the exported graph takes position_ids; none were given")
    if positions:
        tensors["position_ids"] = POSITIONS[positions](ids, mask) if chosen is None else chosen
    elif chosen is not None:
        tensors["position_ids"] = chosen
    return {**tensors, **arguments}


def of_step(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a step of ``generate()``, without those that change no logit that it reads.

    An argument is identified by its value where its name may change: an empty cache is left out under any name.
    """
    return {
        name: value
        for name, value in given.items()
        if value is not None and name not in _STEP_ALONE and not (is_cache(value) and _is_empty(value))
    }


def _is_empty(cache: Any) -> bool:
    length = getattr(cache, "get_seq_length", None)
    return length is not None and not int(length())


def _is_constant(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def _given(signature: inspect.Signature, inputs: Inputs) -> dict[str, Any]:
    """Return the arguments by name, including those without a parameter of their own.

    Raises:
        BuildError: they do not fit.
    """
    try:
        given = dict(signature.bind(*inputs.args, **inputs.kwargs).arguments)
    except TypeError as mistake:
        raise BuildError(f"the call does not fit forward(): {mistake}") from None
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
    return given


def preparation(module: nn.Module, positions: str | None) -> Callable[[Inputs], Inputs]:
    """Return a function that completes the inputs of a call; with None for ``positions`` it returns them unchanged."""
    if positions is None:
        return lambda inputs: inputs
    signature = inspect.signature(module.forward)
    return lambda inputs: Inputs(kwargs=completed(_given(signature, inputs), positions))


def in_place_of(original: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``forward`` with the signature of ``original``, because ``generate()`` reads a model's arguments from it.

    ``mm_encoder_outputs`` is left out: if a model takes it, transformers 5 encodes images before the loop, and passes
    no image on.
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
    drop_weights(module)
    return module


def generate_without_cache(module: nn.Module) -> Callable[..., Any]:
    """Return the module's ``generate()``, in which every step runs the whole text through ``forward``."""

    def generate(*args: Any, **kwargs: Any) -> Any:
        return module.generate(*args, **(kwargs | {"use_cache": False}))  # type: ignore[operator]

    return generate
