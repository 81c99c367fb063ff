"""The structure of an answer: its type, and the names, shapes and dtypes in it. A cache may be left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.kv_cache import without_state


def form_faults(actual: Any, expected: Any) -> Iterator[str]:
    """Yield the differences between the structures of an answer and of eager's; values are not compared."""
    if type(actual) is not type(expected):
        yield f"returned a {type(actual).__name__}, eager returns a {type(expected).__name__}"
        return
    found, wanted = (dict(tree.named_leaves(without_state(value))) for value in (actual, expected))
    if found.keys() != wanted.keys():
        yield f"returned {', '.join(found) or 'nothing'}; eager returns {', '.join(wanted)}"
        return
    for name, leaf in wanted.items():
        if isinstance(leaf, torch.Tensor) and _form(found[name]) != _form(leaf):
            yield f"{name or 'the output'} is {_form(found[name])}, eager's is {_form(leaf)}"


def _form(leaf: object) -> str:
    return f"{leaf.dtype} {tuple(leaf.shape)}" if isinstance(leaf, torch.Tensor) else f"a {type(leaf).__name__}"
