"""The restoration of nested values from their description in JSON. The description may be a stranger's."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.exchange.description import LONGEST_INTEGER, MODEL_OUTPUTS

DEEPEST = 50
"""The most containers in each other."""


def restored(node: Any, tensors: dict[str, torch.Tensor], depth: int = 0) -> Any:
    """Return the value that a description stands for.

    A tensor is taken out of ``tensors``: a text that named one a thousand times would fill the memory.

    Raises:
        UsageError: it describes none.
    """
    if depth > DEEPEST:
        raise UsageError(f"a value is nested more than {DEEPEST} deep")
    if isinstance(node, float) and not math.isfinite(node):
        raise UsageError("a number is larger than any that a bundle holds")
    if isinstance(node, int) and node.bit_length() >= LONGEST_INTEGER:
        raise UsageError("an integer is larger than any that a bundle holds")
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if not isinstance(node, dict):
        raise UsageError("a value is described by a list; containers are objects such as {'list': [...]}")
    keys = set(node)
    if keys == {"float"} and node["float"] in ("nan", "inf", "-inf"):
        return float(node["float"])
    if keys in ({"tensor"}, {"tensor", "order"}):
        return _tensor(node, tensors)

    def inner(member: Any) -> Any:
        return restored(member, tensors, depth + 1)

    if keys == {"list"} or keys == {"tuple"}:
        (kind,) = keys
        items = [inner(item) for item in _listed(node[kind])]
        return items if kind == "list" else tuple(items)
    if keys == {"dict"}:
        return _named(node["dict"], inner)
    if keys == {"model_output", "class"}:
        return _model_output(node["class"], _named(node["model_output"], inner))
    raise UsageError(f"no value is described by {', '.join(sorted(map(str, keys)))[:80] or 'an empty object'}")


def _tensor(node: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    name = node["tensor"]
    if not isinstance(name, str) or name not in tensors:
        raise UsageError(f"there is no tensor {str(name)[:40]!r}, or it is named twice")
    tensor = tensors.pop(name)
    order = node.get("order", list(range(tensor.dim())))
    if not isinstance(order, list) or any(type(dim) is not int for dim in order):
        raise UsageError(f"the order of {name} is no list of integers")
    if sorted(order) != list(range(tensor.dim())):
        raise UsageError(f"the order of {name} names other dimensions than its {tensor.dim()}")
    return tensor.permute([order.index(dim) for dim in range(tensor.dim())]) if order else tensor


def _named(pairs: Any, inner: Callable[[Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in _listed(pairs):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise UsageError("a dict is described by something else than pairs of a name and a value")
        if pair[0] in found:
            raise UsageError(f"a dict has the key {pair[0][:40]!r} twice")
        found[pair[0]] = inner(pair[1])
    return found


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError("a container is described by something else than a list")
    return value


def _model_output(name: Any, members: Mapping[str, Any]) -> Any:
    """A ModelOutput: only classes that transformers keeps in one place are ever looked up."""
    try:
        module = importlib.import_module(MODEL_OUTPUTS)
        base = importlib.import_module("transformers.utils").ModelOutput
    except ImportError:
        raise UsageError("the inputs hold a ModelOutput, which needs transformers") from None
    kind = getattr(module, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == MODEL_OUTPUTS):
        raise UsageError(f"{MODEL_OUTPUTS} has no ModelOutput {str(name)[:40]!r}")
    try:
        return kind(**members)
    except (TypeError, ValueError):
        raise UsageError(f"{name} takes other members than those described") from None
