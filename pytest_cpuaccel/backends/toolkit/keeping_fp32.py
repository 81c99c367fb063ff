"""Modules that a backend of reduced precision would round, and those of them that the user keeps in fp32."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError

if TYPE_CHECKING:
    from torch import nn


def holds_matrix(module: nn.Module) -> bool:
    """Tell whether a module has a weight of its own with rows and columns, also one that is looked up."""
    return any(item.dim() > 1 and item.is_floating_point() for item in module.parameters(recurse=False))


def holds_factor(module: nn.Module) -> bool:
    """Tell whether a module has a weight of its own to multiply with: no embedding."""
    from torch import nn

    return holds_matrix(module) and not isinstance(module, (nn.Embedding, nn.EmbeddingBag))


def holds_floats(module: nn.Module) -> bool:
    """Tell whether a module has a floating-point parameter of its own."""
    return any(item.is_floating_point() for item in module.parameters(recurse=False))


def is_linear(module: nn.Module) -> bool:
    """Tell whether a module is an ``nn.Linear``, and of no class derived from it."""
    from torch import nn

    return type(module) is nn.Linear


def check_is_whole(subject: Subject, files: Sequence[Path]) -> None:
    """Check that a model was exported as one graph: in those of its parts, modules have other paths.

    Raises:
        BuildError: modules are to stay in fp32, and there are several graphs.
    """
    if subject.keep_fp32 and len(files) > 1:
        raise BuildError("modules of a model that is exported in several graphs can't stay in fp32 as keep_fp32 asks")


def check_found(subject: Subject, found: Collection[str]) -> None:
    """Check that each pattern of keep_fp32 has an operation: ``found`` are paths of modules that operations come from.

    Raises:
        BuildFailureError: one has none, so that what it names would be quantised all the same.
    """
    asked = subject.keep_fp32_patterns or {"": subject.keep_fp32}
    lost = [pattern for pattern, paths in asked.items() if paths and set(paths).isdisjoint(found)]
    if lost:
        names = ", ".join(map(repr, filter(None, lost))) or "the modules"
        raise BuildFailureError(f"no operation of the exported graph is known to come from {names} of keep_fp32")


def but_kept(subject: Subject) -> str:
    """Return the end of a sentence that says that there is nothing to quantise; "" where no module is kept."""
    return " beside what stays in fp32 as keep_fp32 asks" if subject.keep_fp32 else ""
