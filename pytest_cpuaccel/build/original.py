"""The original: the user's eager model, what it answers, and copies of it that may be altered."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.first_step import FirstStep
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
    """Return the inputs of the forward call that a ``generate()`` call begins with, without a cache.

    Raises:
        BuildError: ``generate()`` does not go through the model's ``forward``.
    """
    return FirstStep.of(model, inputs).inputs()


def private_copy(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model, in eval mode, that shares no memory with it.

    Raises:
        BuildError: the model holds something that can't be copied.
    """
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:
        raise BuildError(f"{type(model).__name__} can't be copied: {reason(error)}") from error
