"""One call of a freshly built model, to verify that it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs


def rehearse(function: Callable[..., Any], inputs: Inputs) -> Any:
    """Return ``function``'s output for a private copy of ``inputs``, computed without gradients."""
    with torch.no_grad():
        given = private_inputs(inputs)
        return function(*given.args, **given.kwargs)
