"""Backends that stand in for real ones: cheap, and each with one trait that a test needs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject

LOG = "CPUACCEL_TEST_LOG"
"""Names the file in which builds are noted, a line for each."""


def note(text: str) -> None:
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{text}\n")


def _load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    module: Any = subject.fresh_module()
    note(f"load {type(module).__name__}")
    return BuiltModel(module, generate=getattr(module, "generate", None), threads=torch.get_num_threads())


def _export(subject: Subject, folder: Path) -> None:
    note("export")
    torch.save(subject.fresh_module().state_dict(), folder / "weights.pt")


def _export_calibrated(subject: Subject, folder: Path) -> None:
    values = [float(tensor.flatten()[0]) for item in subject.calibration for tensor in tree.tensors(item.kwargs)]
    note(f"calibrate {values}")
    _export(subject, folder)


def _export_module(subject: Subject, folder: Path) -> None:
    torch.save(subject.fresh_module(), folder / "module.pt")


def _load_module(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
    assert folder is not None
    return BuiltModel(torch.load(folder / "module.pt", weights_only=False), threads=torch.get_num_threads())


def _rewrite(subject: Subject, folder: Path) -> None:  # noqa: ARG001
    note(f"rewrite {sorted(path.name for path in folder.iterdir())}")
    with (folder / "weights.pt").open("ab") as file:
        file.write(b"rewritten")


def _changed(change: Any) -> Any:
    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = _load(subject, folder)
        return replace(built, forward=lambda *args, **kwargs: change(built.forward(*args, **kwargs)))

    return load


def _noted(output: Any) -> Any:
    note("call")
    return output


def _raise(output: Any) -> Any:
    raise RuntimeError(f"kernel failed\nfor {output!r}")


def _refuse(subject: Subject, folder: Path | None) -> BuiltModel:
    raise NotImplementedError("no kernel for aten::gelu")


TWIN = Backend(name="twin", summary="eager again", load=_load)
STORED = replace(TWIN, name="stored", export=_export)
SHIPPED = replace(TWIN, name="shipped", export=_export_module, load=_load_module)
VARIANT = replace(STORED, name="variant", export=_rewrite, base=STORED)
READER = replace(STORED, name="reader", export=None, base=STORED)
CALIBRATED = replace(TWIN, name="calibrated", export=_export_calibrated, calibrates=True)
OFF = replace(TWIN, name="off", load=_changed(lambda output: tree.map_leaves(lambda leaf: leaf + 1, output)))
NAN = replace(TWIN, name="nan", load=_changed(lambda output: tree.map_leaves(lambda leaf: leaf * torch.nan, output)))
RAISING = replace(TWIN, name="raising", load=_changed(_raise))
REFUSING = replace(TWIN, name="refusing", load=_refuse)
NOTED = replace(TWIN, name="noted", load=_changed(_noted))
ABSENT = replace(TWIN, name="absent", requires=(Requirement("no-such-distribution", ">=2"),))
OUTDATED = replace(TWIN, name="outdated", requires=(Requirement("pytest", "<1", "later ones lack py.test"),))

BACKENDS = (TWIN, STORED, SHIPPED, VARIANT, READER, CALIBRATED, OFF, NAN, RAISING, REFUSING, ABSENT, OUTDATED)
