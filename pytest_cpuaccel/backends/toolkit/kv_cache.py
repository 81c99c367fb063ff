"""The key/value cache of a decoder, as the tensors that go into a graph of one step and come out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache


@dataclass(frozen=True)
class CacheLayout:
    """``argument`` is ``forward``'s name for its cache; ``layers`` are (heads, width of a key, width of a value).

    A layer's keys and values are (batch, heads, past, width).
    """

    argument: str
    layers: tuple[tuple[int, int, int], ...]

    @staticmethod
    def of(module: nn.Module, inputs: Inputs) -> CacheLayout:
        """Return the layout of the cache that the module fills in a call.

        Raises:
            BuildError: it fills none, or one of another kind than keys and values that grow with the text.
        """
        with torch.no_grad():
            answer = module(*inputs.args, **{**inputs.kwargs, "use_cache": True})
        caches = split_caches(answer)
        if len(caches) != 1:
            raise BuildError(f"{type(module).__name__} returns no key/value cache")
        return CacheLayout.of_cache(*caches.popitem())

    @staticmethod
    def of_cache(argument: str, cache: Any) -> CacheLayout:
        """Return the layout of a cache that was filled.

        Raises:
            BuildError: it is of another kind than keys and values that grow with the text.
        """
        return CacheLayout(argument, tuple(_sizes(*layer) for layer in held(cache)))

    @staticmethod
    def read(kept: Mapping[str, Any]) -> CacheLayout:
        """Return a layout from its fields as JSON keeps them."""
        return CacheLayout(kept["argument"], tuple(tuple(layer) for layer in kept["layers"]))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return a graph's names of the cache's tensors before a step."""
        return tuple(f"past_{what}_{number}" for number in range(len(self.layers)) for what in ("key", "value"))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return a graph's names of the cache's tensors after a step."""
        return tuple(name.replace("past", "present") for name in self.inputs)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Return (heads, width) of each of ``inputs``."""
        return tuple((heads, width) for heads, *widths in self.layers for width in widths)

    def of_length(self, rows: int, length: int) -> tuple[torch.Tensor, ...]:
        """Return random tensors for a cache of this length; for a length of 0, those of an empty cache."""
        generator = torch.Generator().manual_seed(0)
        return tuple(torch.randn(rows, heads, length, width, generator=generator) for heads, width in self.sizes)


def held(cache: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the keys and values of each layer of a cache.

    Raises:
        BuildError: it is not one of keys and values alone that grow with the text (a sliding window, a state space).
    """
    from transformers.cache_utils import DynamicLayer

    layers = getattr(cache, "layers", None)
    if not layers or not all(type(layer) is DynamicLayer and layer.keys is not None for layer in layers):
        kinds = ", ".join(sorted({type(layer).__name__ for layer in layers or [cache]}))
        raise BuildError(f"its cache is more than keys and values that grow with the text: {kinds}")
    return [(layer.keys, layer.values) for layer in layers]


def empty() -> Any:
    """Return an empty cache."""
    from transformers import DynamicCache

    return DynamicCache()


def filled(tensors: Sequence[torch.Tensor]) -> Any:
    """Return a cache that holds these keys and values, in the order of ``CacheLayout.inputs``."""
    cache = empty()
    put(cache, tensors)
    return cache


def put(cache: Any, tensors: Sequence[torch.Tensor]) -> None:
    """Replace a cache's content by these keys and values."""
    from transformers.cache_utils import DynamicLayer

    while len(cache.layers) < len(tensors) // 2:
        cache.layers.append(DynamicLayer())
    for layer, keys, values in zip(cache.layers, tensors[::2], tensors[1::2], strict=True):
        layer.keys, layer.values = keys, values
        layer.dtype, layer.device, layer.is_initialized = keys.dtype, keys.device, True


def split(arguments: Mapping[str, Any]) -> tuple[Any | None, dict[str, Any]]:
    """Return the cache among the arguments of a step, if there is one, and the other arguments.

    Raises:
        BuildError: it is of a fixed size.
    """
    caches = [value for value in arguments.values() if is_cache(value)]
    if any(getattr(cache, "is_compileable", False) for cache in caches):
        raise BuildError(f"{type(caches[0]).__name__}: the exported graph has a place only for a cache that grows")
    return (caches[0] if caches else None), {n: value for n, value in arguments.items() if not is_cache(value)}


def split_caches(answer: Any) -> dict[str, Any]:
    """Return the caches among the outputs of a model, by name."""
    return {name: value for name, value in answer.items() if is_cache(value)} if isinstance(answer, Mapping) else {}


def first(layers: int) -> Any:
    """Return a cache for a first step alone: it keeps the given tensors, without an empty tensor before them."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class First(DynamicLayer):  # type: ignore[misc]
        def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
            self.keys, self.values, self.is_initialized = key_states, value_states, True
            return key_states, value_states

    cache = DynamicCache()
    cache.layers = [First() for _ in range(layers)]
    return cache


def pair(own: Any, cross: Any) -> Any:
    """Return the cache of an encoder-decoder: of the decoder's own and of the encoder's tokens."""
    from transformers import EncoderDecoderCache

    return EncoderDecoderCache(own, cross)


def length_of(cache: Any | None) -> int:
    """Return the number of tokens in a cache."""
    return 0 if cache is None else int(cache.get_seq_length())


def _sizes(keys: torch.Tensor, values: torch.Tensor) -> tuple[int, int, int]:
    if keys.dim() != 4 or values.dim() != 4 or keys.shape[:3] != values.shape[:3] or keys.dtype != torch.float32:
        raise BuildError(f"its cache holds keys {tuple(keys.shape)} and values {tuple(values.shape)}")
    return keys.shape[1], keys.shape[3], values.shape[3]


def tensors_of(cache: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a cache, in the order of ``CacheLayout.inputs``."""
    return (tensor for layer in held(cache) for tensor in layer)
