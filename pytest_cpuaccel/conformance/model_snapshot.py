"""A snapshot of a model: everything that a careless backend might alter, in a form that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pytest_cpuaccel.builder.fingerprint import tensor_bytes


@dataclass(frozen=True)
class ModelSnapshot:
    """``tensors`` are bytes, so that NaN equals itself and -0.0 differs from 0.0."""

    tensors: Mapping[str, bytes]
    config: str
    training: Mapping[str, bool]
    layers: Mapping[str, type]
    attributes: Mapping[str, frozenset[str]]


def snapshot_of(model: nn.Module) -> ModelSnapshot:
    """Return the snapshot of a model now."""
    config: Any = getattr(model, "config", None)
    described = {**config.to_dict(), "attention": config._attn_implementation} if config is not None else {}
    layers = dict(model.named_modules())
    return ModelSnapshot(
        tensors={name: bytes(tensor_bytes(tensor)) for name, tensor in model.state_dict().items()},
        config=json.dumps(described, sort_keys=True, default=repr),
        training={name: layer.training for name, layer in layers.items()},
        layers={name: type(layer) for name, layer in layers.items()},
        attributes={name: frozenset(vars(layer)) for name, layer in layers.items()},
    )


def changes(before: ModelSnapshot, after: ModelSnapshot) -> Iterator[str]:
    """Yield the differences from an earlier snapshot."""
    for name, value in before.tensors.items():
        if after.tensors.get(name) != value:
            yield f"weight {name!r} was {'written to' if name in after.tensors else 'removed'}"
    for name in after.tensors.keys() - before.tensors.keys():
        yield f"weight {name!r} was added"
    if before.config != after.config:
        yield "its config was altered"
    for name, kind in before.layers.items():
        where = f"layer {name!r}" if name else "the model"
        if after.layers.get(name) is not kind:
            yield f"{where}, a {kind.__name__}, was replaced or removed"
        elif after.training[name] != before.training[name]:
            yield f"{where} was put in {'training' if after.training[name] else 'eval'} mode"
        elif gained := after.attributes[name] - before.attributes[name]:
            yield f"{where} was given attributes: {', '.join(sorted(gained))}"
