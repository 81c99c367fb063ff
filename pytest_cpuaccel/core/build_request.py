"""A request for a build: the model, the backend, and the call that the build must take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class BuildRequest:
    """``inputs`` are the inputs of a call of ``method``.

    ``keep_fp32`` are paths of modules that stay in fp32 in place of those that the user named; None for the latter.
    """

    model: nn.Module
    backend: Backend
    method: Method
    inputs: Inputs
    keep_fp32: tuple[str, ...] | None = None
