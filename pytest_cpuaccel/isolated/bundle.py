"""A bundle: everything that a fresh process needs to build a model, or to load its artifact and answer a call."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildFailureError

_MODEL, _BUNDLE = "model.pt", "bundle.pt"


@dataclass(frozen=True)
class Bundle:
    """``artifact`` is the folder that the backend's export wrote; None if it writes none."""

    backend: Backend
    subject: Subject
    artifact: Path | None
    call: Call


def pack(bundle: Bundle, model: nn.Module, folder: Path) -> None:
    """Write a bundle to ``folder``, with the model that ``subject.fresh_module`` makes in the fresh process.

    Raises:
        BuildError: the model or the backend can't be sent to another process.
    """
    subject = replace(bundle.subject, fresh_module=partial(_module_in, folder / _MODEL), fresh_outline=None)
    _save(model, folder / _MODEL, type(model).__name__)
    _save(replace(bundle, subject=subject), folder / _BUNDLE, f"backend {bundle.backend.name!r}")


def unpack(folder: Path) -> Bundle:
    """Return the bundle in ``folder``.

    Raises:
        BuildError: this process can't import the classes in it.
    """
    bundle: Bundle = _load(folder / _BUNDLE, "the backend")
    return bundle


def _module_in(file: Path) -> nn.Module:
    """Return the model, its weights mapped from the file like safetensors: weights that nobody reads take no memory."""
    module: nn.Module = _load(file, "the model")
    return module


def _save(value: Any, file: Path, name: str) -> None:
    try:
        torch.save(value, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BuildFailureError(
            f"{name} can't be sent to a fresh process: {reason(error)}; define its classes and functions at the top "
            "level of a module"
        ) from error
    except Exception as error:
        raise BuildFailureError(
            f"{name} can't be pickled, so it can't be sent to a fresh process: {reason(error)}"
        ) from error


def _load(file: Path, name: str) -> Any:
    try:
        return torch.load(file, mmap=True, weights_only=False)
    except Exception as error:
        raise BuildFailureError(f"a fresh process can't make {name}: {reason(error)}") from error
