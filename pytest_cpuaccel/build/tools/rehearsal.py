"""One call of a freshly built model, to prove that it runs before anyone is told that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs


def rehearse(function: Callable[..., Any], inputs: Inputs) -> Any:
    """Return ``function``'s output for a private copy of ``inputs``, computed without gradients."""
    with torch.no_grad():
        return function(*tree.clone(inputs.args), **tree.clone(dict(inputs.kwargs)))
