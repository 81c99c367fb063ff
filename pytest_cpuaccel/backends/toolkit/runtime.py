"""An inference runtime that runs exported graphs: what ONNX Runtime and OpenVINO each do in their own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core.backend import Scalar

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

    from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout

Facts = Mapping[str, Scalar]
Write = Callable[["ExportedProgram", Sequence[str], Sequence[str], Path], None]
"""Writes a program to a folder, naming its inputs and outputs."""


@dataclass(frozen=True)
class Session:
    """A graph ready to run.

    ``run`` takes contiguous tensors in the graph's order, which its caller keeps alive until it returns, and
    returns tensors that own their memory.
    """

    run: Callable[[tuple[torch.Tensor, ...]], list[torch.Tensor]]
    facts: Facts


@dataclass(frozen=True)
class Steps:
    """A graph of a decoder's step ready to run.

    ``run`` takes contiguous tensors in the order of the graph's inputs, without the cache's, and the cache that the
    step reads and lets grow; None for a step that starts a text and is not followed.
    """

    run: Callable[[tuple[torch.Tensor, ...], Any | None], list[torch.Tensor]]
    facts: Facts


@dataclass(frozen=True)
class Runtime:
    """``library`` and ``prefix`` say where Optimum keeps its classes for this runtime and how they are called.

    ``write`` converts a torch program; ``converter`` is what does it.
    ``open(folder, inputs, threads)`` runs what ``write`` wrote. ``write_step`` and ``open_step`` do the same for a
    decoder's step, whose inputs and outputs are named without the cache's.
    ``export_options(module)`` and ``load_options(threads)`` are for Optimum's ``from_pretrained``;
    ``facts_of(model)`` are read back from what it returned. ``has_attention`` says that it has an operator for the
    whole of attention.
    """

    library: str
    prefix: str
    converter: str
    write: Write
    open: Callable[[Path, Sequence[str], int], Session]
    write_step: Callable[[ExportedProgram, Sequence[str], Sequence[str], CacheLayout, Path], None]
    open_step: Callable[[Path, Sequence[str], Sequence[str], CacheLayout, int], Steps]
    load_options: Callable[[int], dict[str, Any]]
    facts_of: Callable[[Any], Facts]
    export_options: Callable[[nn.Module], dict[str, Any]]
    has_attention: bool
