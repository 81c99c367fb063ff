"""An example: one call that a model is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class Example:
    """Inputs of ``forward`` or of ``generate()``."""

    method: Method
    inputs: Inputs


@dataclass(frozen=True)
class Examined:
    """A model in eval mode, the examples that it is judged by, and notes on how these were made.

    ``name`` is the user's for it. ``inputs_are_given`` tells that the inputs are the user's too.
    """

    name: str
    model: nn.Module
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()
    inputs_are_given: bool = False
