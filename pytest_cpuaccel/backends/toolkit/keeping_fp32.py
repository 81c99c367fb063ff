"""Modules that a backend of reduced precision would round, and those of them that the user keeps in fp32."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError
from pytest_cpuaccel.core.kernel_census import Kernel
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

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
    """Check that each pattern of keep_fp32 leads to an operation with weights that a quantiser would round.

    ``found`` are the paths of the modules that such operations come from. A converter that folds a convolution and its
    normalisation into one may name the result after neither.

    Raises:
        BuildFailureError: one leads to none, so that what it names would be quantised all the same.
    """
    lost = [pattern for pattern, paths in subject.keep_fp32_patterns.items() if set(paths).isdisjoint(found)]
    if lost:
        raise BuildFailureError(
            "no operation of the exported graph that would be quantised is known to come from "
            f"{', '.join(map(repr, lost))} of keep_fp32; was it folded into a normalisation? Name that"
        )


def is_rounded(operation: str) -> bool:
    """Tell whether quantisers round the weights of operations of this type: products, convolutions, look-ups."""
    return operation == "Gather" or is_matrix_kernel(Kernel(operation, 1))


def but_kept(subject: Subject) -> str:
    """Return the end of a sentence that says that there is nothing to quantise; "" where no module is kept."""
    return " beside what stays in fp32 as keep_fp32 asks" if subject.keep_fp32 else ""
