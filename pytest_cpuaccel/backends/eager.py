"""Plain PyTorch in fp32: the reference, as a backend, so that it is measured like all others."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pytest_cpuaccel.backends import torch_census
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject


def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    """Return a private copy of the model as it is."""
    import torch

    module = subject.fresh_module()
    return BuiltModel(
        forward=module,
        generate=getattr(module, "generate", None),
        threads=torch.get_num_threads(),
    )


EAGER = Backend(
    name="eager",
    summary="plain PyTorch in fp32, the reference",
    load=load,
    count_kernels=partial(torch_census.count, load),
    requires=(Requirement("torch", ">=2.8"),),
)
