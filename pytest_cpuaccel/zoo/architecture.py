"""An architecture: a kind of model, made tiny, with example inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_cpuaccel.core.inputs import Inputs

if TYPE_CHECKING:
    from torch import nn

Family = Literal["encoder", "decoder", "seq2seq", "vision and audio", "plain torch"]


@dataclass(frozen=True)
class Architecture:
    """``make()`` returns a model in eval mode, with the same random weights every time.

    ``example(module, batch, length)`` returns inputs of a forward call, the same every time: texts are padded,
    on the left for decoders and on the right for all else, in every row but the first. ``length`` is that of a
    text; images have the size that the model is made for. ``model`` is the name of the class.
    """

    name: str
    family: Family
    model: str
    make: Callable[[], nn.Module]
    example: Callable[[nn.Module, int, int], Inputs]

    def inputs(self, module: nn.Module, batch: int = 2, length: int = 10) -> Inputs:
        """Return the inputs of a forward call of ``module``, which ``make`` made."""
        return self.example(module, batch, length)

    @property
    def generates(self) -> bool:
        """Tell whether the model has a useful ``generate()``."""
        return self.family in ("decoder", "seq2seq")

    @property
    def is_transformer(self) -> bool:
        """Tell whether the model is one of transformers."""
        return self.family != "plain torch"
