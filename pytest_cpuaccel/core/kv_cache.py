"""Caches among a model's arguments and outputs: state for the next step, not part of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATE_OUTPUTS = ("past_key_values",)
"""Outputs that hold a cache as plain tuples of tensors; transformers' Trainer leaves them out too."""


def is_cache(value: Any) -> bool:
    """Tell whether a value is a cache of transformers, whatever its name is.

    5.24 renamed ``past_key_values`` to ``cache``; Mamba's is ``cache_params`` and has no ``get_seq_length``.
    """
    return hasattr(value, "get_seq_length") or type(value).__name__.endswith("Cache")


def without_state(output: Any) -> Any:
    """Return a model's output without its caches; itself if it has none. In a tuple None replaces a cache."""
    if isinstance(output, Mapping):
        answers = {name: without_state(value) for name, value in output.items() if not _is_state(name, value)}
        if _same(answers.values(), output.values()):
            return output
        return type(output)(**answers) if hasattr(output, "to_tuple") else answers
    if type(output) in (tuple, list):
        items = [None if is_cache(item) else without_state(item) for item in output]
        return output if _same(items, output) else type(output)(items)
    return output


def _is_state(name: Any, value: Any) -> bool:
    return name in STATE_OUTPUTS or is_cache(value)


def _same(some: Any, others: Any) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))
