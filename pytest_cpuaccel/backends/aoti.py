"""AOTInductor: the model exported and compiled ahead of time to a shared library."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.backends import aoti_census
from pytest_cpuaccel.backends.inductor import cache_in
from pytest_cpuaccel.backends.toolkit.runtime import Converter, ReadBack, RuntimeSession
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

FILE = "model.pt2"


def export(subject: Subject, folder: Path) -> None:
    """Write the subject's call as a compiled package to ``folder``.

    Images have a fixed size: with a free one Inductor takes 15 minutes and more for the indices of Swin's windows.

    Raises:
        BuildError: torch.export or AOTInductor can't take the model, or it is an encoder-decoder that generates.
    """
    from pytest_cpuaccel.backends.toolkit import runtime_export as exporting

    module = subject.fresh_module()
    if subject.generates and module.config.is_encoder_decoder:  # type: ignore[union-attr]
        raise BuildError(f"generate() of an encoder-decoder, {type(module).__name__}, takes more than one graph")
    converter = Converter("AOTInductor", partial(_write, subject.threads), image_sizes=False)
    exporting.export_program(converter, subject, module, folder).write(folder)


def load(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the package in ``folder``, which runs without torch.compile and without a compiler."""
    from pytest_cpuaccel.backends.toolkit import runtime_load as loading

    assert folder is not None
    return loading.load_program(partial(_open, folder), subject, folder)


def _write(
    threads: int,
    program: ExportedProgram,
    inputs: Sequence[str],  # noqa: ARG001
    outputs: Sequence[str],  # noqa: ARG001
    folder: Path,
) -> None:
    from torch._inductor import aoti_compile_and_package

    with tempfile.TemporaryDirectory() as scratch, cache_in(Path(scratch), threads):
        aoti_compile_and_package(program, package_path=str(folder / FILE))


def _open(folder: Path, inputs: Sequence[str], threads: int) -> RuntimeSession:  # noqa: ARG001
    import torch
    from torch._inductor import aoti_load_package

    package = aoti_load_package(str(folder / FILE))

    def run(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        return list(package(*tensors))

    return RuntimeSession(run, ReadBack(torch.get_num_threads()))


AOTI = Backend(
    name="aoti",
    summary="AOTInductor, compiled ahead of time",
    load=load,
    count_kernels=aoti_census.count,
    export=export,
    requires=(Requirement("torch", ">=2.8", "older AOTInductor can't keep its cache in a folder of our choice"),),
)
