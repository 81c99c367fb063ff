"""An inference runtime that runs exported graphs: what ONNX Runtime and OpenVINO each do in their own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
class ReadBack:
    """What a runtime says of itself once a model is loaded: its thread count, and what else proves how it runs."""

    threads: int
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Ports:
    """The names of the inputs and outputs of a decoder's step, without the cache's, which ``layout`` has."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layout: CacheLayout

    @property
    def all_inputs(self) -> tuple[str, ...]:
        """Return the names of the inputs, the cache's last."""
        return (*self.inputs, *self.layout.inputs)

    @property
    def all_outputs(self) -> tuple[str, ...]:
        """Return the names of the outputs, the cache's last."""
        return (*self.outputs, *self.layout.outputs)


@dataclass(frozen=True)
class Converter:
    """What writes a program of torch.export in a form of its own.

    Without ``image_sizes`` the program takes images of the call's height and width alone.
    """

    name: str
    write: Write
    image_sizes: bool = True


@dataclass(frozen=True)
class RuntimeSession:
    """A graph ready to run.

    ``run`` takes contiguous tensors in the graph's order, which its caller keeps alive until it returns, and
    returns tensors that own their memory.
    """

    run: Callable[[tuple[torch.Tensor, ...]], list[torch.Tensor]]
    read_back: ReadBack


@dataclass(frozen=True)
class Steps:
    """A graph of a decoder's step ready to run.

    ``run`` takes contiguous tensors in the order of the graph's inputs, without the cache's, and the cache that the
    step reads and lets grow; None for a step that starts a text and is not followed.
    """

    run: Callable[[tuple[torch.Tensor, ...], Any | None], list[torch.Tensor]]
    read_back: ReadBack


@dataclass(frozen=True)
class Runtime:
    """``library`` and ``prefix`` say where Optimum keeps its classes for this runtime and how they are called.

    ``open(folder, inputs, threads)`` runs what ``converter`` wrote. ``write_step(program, ports, folder)`` and
    ``open_step(folder, ports, threads)`` do the same for a decoder's step.
    ``export_options(module)`` and ``load_options(threads)`` are for Optimum's ``from_pretrained``;
    ``read_back(model)`` asks what it returned. ``has_attention`` says that it has an operator for the
    whole of attention.
    """

    library: str
    prefix: str
    converter: Converter
    open: Callable[[Path, Sequence[str], int], RuntimeSession]
    write_step: Callable[[ExportedProgram, Ports, Path], None]
    open_step: Callable[[Path, Ports, int], Steps]
    load_options: Callable[[int], dict[str, Any]]
    read_back: Callable[[Any], ReadBack]
    export_options: Callable[[nn.Module], dict[str, Any]]
    has_attention: bool
