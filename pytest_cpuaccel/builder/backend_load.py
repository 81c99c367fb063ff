"""A backend's ``load``, of copies that have the state that the model has."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.private_copy import deep_copy
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BuildFailureError


class _Absent(Enum):
    """Stands for an attribute that a model has only after a call."""

    ABSENT = 0


_ABSENT = _Absent.ABSENT


def loaded(backend: Backend, subject: Subject, folder: Path | None, state: State) -> BuiltModel:
    """Load the backend's model from copies in the model's present state, and restore that after calls that check it.

    Raises:
        BuildFailureError: ``load`` returned something else than a built model.
    """
    copies: list[tuple[nn.Module, dict[tuple[str, str], Any]]] = []

    def fresh_module() -> nn.Module:
        module = subject.fresh_module()
        owners = dict(module.named_modules())
        kept = {
            (owner, name): deep_copy(getattr(owners[owner], name, _ABSENT))
            for owner, name in state.attributes
            if owner in owners
        }
        copies.append((module, kept))
        return module

    built = backend.load(replace(subject, fresh_module=fresh_module) if state.attributes else subject, folder)
    if not isinstance(built, BuiltModel):
        returned = "None" if built is None else f"an object of type {type(built).__name__}"
        raise BuildFailureError(f"load returned {returned}; return a BuiltModel")
    for module, kept in copies:
        owners = dict(module.named_modules())
        for (owner, name), value in kept.items():
            if owner in owners:
                _put(owners[owner], name, value)
    return built


def _put(owner: nn.Module, name: str, value: Any) -> None:
    """Give an attribute a value; a tensor in the type that the backend gave it, and in place where it has the shape."""
    present = getattr(owner, name, None)
    if value is _ABSENT:
        if hasattr(owner, name):
            delattr(owner, name)
        return
    if isinstance(value, torch.Tensor) and isinstance(present, torch.Tensor):
        if present.shape == value.shape:
            present.data.copy_(value)
            return
        value = value.to(present.dtype)
    setattr(owner, name, value)
