"""A fault: a way in which a backend may be wrong, put into an honest one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class Fault:
    """``broken`` is eager with the fault put in; ``pointer`` a regular expression found in a text that names it.

    ``always`` is true of a fault that is one even where eager's answer comes out: it lies in what the backend says.
    """

    name: str
    broken: Backend
    pointer: str
    always: bool = False

    def __str__(self) -> str:
        return self.name


Forward = Callable[..., Any]


def with_module(honest: Backend, change: Callable[[nn.Module], nn.Module]) -> Backend:
    """Build from an altered model."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        return honest.load(replace(subject, fresh_module=lambda: change(subject.fresh_module())), folder)

    return replace(honest, load=load)


def with_inputs(honest: Backend, change: Callable[[Inputs, Subject], Inputs]) -> Backend:
    """Run on altered inputs; ``change`` also gets what the build was made from."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)

        def forward(*args: Any, **kwargs: Any) -> Any:
            changed = change(Inputs(args, kwargs), subject)
            return built.forward(*changed.args, **changed.kwargs)

        return replace(built, forward=forward)

    return replace(honest, load=load)


def with_output(honest: Backend, change: Callable[[Any], Any]) -> Backend:
    """Return an altered output."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)
        return replace(built, forward=lambda *args, **kwargs: change(built.forward(*args, **kwargs)))

    return replace(honest, load=load)


def keyword(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Inputs, Subject], Inputs]:
    """Return the change of one input; inputs without it stay as they are."""

    def changed(inputs: Inputs, subject: Subject) -> Inputs:  # noqa: ARG001
        value = inputs.kwargs.get(name)
        return inputs if value is None else Inputs(inputs.args, {**inputs.kwargs, name: change(value)})

    return changed
