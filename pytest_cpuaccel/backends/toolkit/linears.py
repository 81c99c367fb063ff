"""Linear layers that a library replaces by quantised ones, and the code of a model that relies on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from pytest_cpuaccel.core.errors import BuildError, NothingToDoError

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def replaceable(module: Any) -> Any:
    """Return a model whose layers can all be replaced: one that is a layer itself is put into a container."""
    return nn.Sequential(module).eval() if type(module) in _LAYERS else module


def without_fused_encoder_layers(module: Any) -> None:
    """Have each ``nn.TransformerEncoderLayer`` call its linear layers, as its fused operator takes their weights."""
    for part in module.modules():
        if isinstance(part, nn.TransformerEncoderLayer):
            part.activation_relu_or_gelu = 0  # torch's own mark of a layer that it can't fuse
        if isinstance(part, nn.TransformerEncoder):
            part.enable_nested_tensor = part.use_nested_tensor = False


def no_linear(module: Any) -> NothingToDoError:
    """Return the refusal of a model in which no ``nn.Linear`` was quantised."""
    name = type(module).__name__
    kinds = {type(part).__name__ for part in module.modules() if isinstance(part, nn.Linear)}
    if any(type(part) is nn.Linear for part in module.modules()):
        return NothingToDoError(f"each nn.Linear of {name} is left in fp32, as those of few inputs are")
    if kinds:
        return NothingToDoError(
            f"{name} has no nn.Linear to quantise: {', '.join(sorted(kinds))} is a class of its own"
        )
    return NothingToDoError(f"{name} has no nn.Linear to quantise")


@contextmanager
def weights_read_refused(name: str) -> Iterator[None]:
    """Refuse a model whose own code reads the weights of a quantised layer, where ``weight`` is a method.

    Raises:
        BuildError: it does; the text names the model and the exception.
    """
    from pytest_cpuaccel.backends.toolkit.code_line import code_line

    try:
        yield
    except (AttributeError, TypeError) as error:
        if not any(kind in str(error) for kind in ("'function' object", "'method' object", "not method")):
            raise
        line = code_line(error)
        raise BuildError(
            f"code of {name} reads the weight of a linear layer, which a quantised layer keeps packed"
            f"{f' (at {line})' if line else ''}"
        ) from error
