"""The original: the user's eager model, what it answers, and copies of it that may be altered."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools.upstream import reason
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError, EagerError
from pytest_cpuaccel.core.inputs import Inputs


def run_eager(model: nn.Module, method: Method, inputs: Inputs) -> Any:
    """Return what the eager model returns for private copies of the inputs.

    Raises:
        EagerError: it raises; the text names the exception.
    """
    arguments = tree.clone(inputs.args), tree.clone(dict(inputs.kwargs))
    run = getattr(model, method) if method == "generate" else model
    try:
        with torch.no_grad():
            return run(*arguments[0], **arguments[1])
    except Exception as error:
        raise EagerError(f"the eager model itself raises on this call: {reason(error)}") from error


def forward_inputs(model: nn.Module, inputs: Inputs) -> Inputs:
    """Return inputs of a forward call that is typical for this ``generate()`` call."""
    names = ("inputs", "input_ids", "input_features", "pixel_values", "input_values")
    main = inputs.args[0] if inputs.args else next((inputs.kwargs[n] for n in names if n in inputs.kwargs), None)
    if main is None:
        raise EagerError("generate() was called without inputs; pass input_ids=...")
    name = getattr(model, "main_input_name", "input_ids")
    mask = inputs.kwargs.get("attention_mask")
    kwargs = {name: main}
    if mask is not None or name == "input_ids":
        kwargs["attention_mask"] = torch.ones_like(main) if mask is None else mask
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False):
        start = getattr(model.generation_config, "decoder_start_token_id", None) or 0
        kwargs["decoder_input_ids"] = torch.full((main.shape[0], 1), start, dtype=torch.long)
    return Inputs(kwargs=kwargs)


def private_copy(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model, in eval mode, that shares no memory with it.

    Raises:
        BuildError: the model holds something that can't be copied.
    """
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:
        raise BuildError(f"{type(model).__name__} can't be copied: {reason(error)}") from error
