"""Intel Extension for PyTorch as a compiler: Inductor with the extension's fusions and kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends import inductor
from pytest_cpuaccel.backends.ipex import IPEX
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject


def export(subject: Subject, folder: Path) -> None:
    """Compile for the subject's call, leaving the compiler's cache in ``folder``."""
    inductor.export_module(optimised(subject), subject, folder, "ipex")


def load(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the model compiled, from the kernels in ``folder`` where they serve.

    Raises:
        BuildError: the model can't be compiled, or runs without a single compiled graph.
    """
    return inductor.load_module(optimised(subject), subject, folder, "ipex")


def optimised(subject: Subject) -> Any:
    """Return a private copy of the model after ``ipex.optimize``, its weights unpacked: packed ones don't compile."""
    from pytest_cpuaccel.backends.toolkit import upstream

    module = subject.fresh_module()
    with upstream.contained():
        import intel_extension_for_pytorch as extension

        return extension.optimize(module, weights_prepack=False, inplace=True)


IPEX_COMPILE = Backend(
    name="ipex-compile",
    summary='torch.compile(backend="ipex")',
    load=load,
    export=export,
    requires=IPEX.requires,
    caches=True,
)
