"""Habits of models beside returning outputs, and backends that get each wrong.

A habit is put around any model: it keeps state, writes to its inputs, returns a number, or hangs on a closure that
neither its weights nor its code show.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.kv_cache import without_state


@dataclass(frozen=True)
class Habit:
    """``broken`` gets a model of this habit wrong; ``pointer`` is a regular expression found in what is said of it."""

    name: str
    wrap: Callable[[nn.Module], nn.Module]
    broken: Backend
    pointer: str

    def __str__(self) -> str:
        return self.name


class Wrapped(nn.Module):
    """A model with a habit; its outputs are a tuple of tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("steps", torch.zeros(()))
        self.eval()

    def outputs(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(tree.tensors(without_state(self.model(**inputs))))


class Counting(Wrapped):
    """Scales what it returns by how often it was called."""

    def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.steps += 1
        return tuple(output * self.steps for output in self.outputs(inputs))


class Flipping(Wrapped):
    """Turns its inputs over when it is through with them."""

    def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        answer = self.outputs(inputs)
        for value in inputs.values():
            value.copy_(value.flip(-1) + 1)
        return answer


class Sized(Wrapped):
    """Returns the size of its batch along."""

    def forward(self, **inputs: torch.Tensor) -> tuple[Any, ...]:
        return *self.outputs(inputs), len(next(iter(inputs.values())))


def closing_over(scale: float) -> Callable[[nn.Module], nn.Module]:
    """Return the habit of scaling outputs by what only a closure knows."""

    class Closing(Wrapped):
        def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(output * scale for output in self.outputs(inputs))

    return Closing


def forgetful() -> Backend:
    """Every call is answered by a model that was never called."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        module = subject.fresh_module()
        built, began = EAGER.load(subject, folder), module.steps.clone()

        def forward(**inputs: torch.Tensor) -> Any:
            module.steps.copy_(began)
            return module(**inputs)

        return replace(built, forward=forward)

    return replace(EAGER, load=load)


def on_copies() -> Backend:
    """Calls get copies of the inputs."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = EAGER.load(subject, folder)
        return replace(built, forward=lambda **inputs: built.forward(**tree.clone(inputs)))

    return replace(EAGER, load=load)


def freezing_numbers() -> Backend:
    """Numbers among the outputs are those of the call that the build was made for."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = EAGER.load(subject, folder)
        numbers = [leaf for leaf in subject.expected if not isinstance(leaf, torch.Tensor)]
        return replace(built, forward=lambda **inputs: (*tree.tensors(built.forward(**inputs)), *numbers))

    return replace(EAGER, load=load)


HABITS = (
    Habit("state lost between calls", Counting, forgetful(), r"keeps state from call to call \('steps' of Counting\)"),
    Habit("inputs left as they were", Flipping, on_copies(), r"after the call'"),
    Habit("number of another call", Sized, freezing_numbers(), r"as in the call it was built for"),
)

_modules: dict[str, nn.Module] = {}
_names = map(str, itertools.count())


def _export(subject: Subject, folder: Path) -> None:
    name = next(_names)
    _modules[name] = subject.fresh_module()
    (folder / "name").write_text(name)


def _load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    assert folder is not None
    return BuiltModel(_modules[(folder / "name").read_text()], threads=torch.get_num_threads())


EXPORTING = replace(EAGER, name="exporting", export=_export, load=_load)
"""Keeps a copy of the model as it was when it was exported."""
