"""The exporters of a backend in turn: each starts from the files that the one before it left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from pytest_cpuaccel.builder.artifact import copy_files
from pytest_cpuaccel.core.backend import Backend, Subject

KeptBase = Callable[[Sequence[Backend]], AbstractContextManager[Path | None]]
"""A context with the folder of what these exporters wrote, which is kept and must not be altered."""


def export_in_turn(
    exporters: Sequence[Backend], subject: Subject, folder: Path, kept_base: KeptBase | None = None
) -> None:
    """Have ``exporters``, of which there is at least one, write an artifact to ``folder``, which is empty.

    With ``kept_base`` the last one alone is run, on a copy of what that has of those before it.

    Raises:
        BuildError: an exporter can't take the model.
    """
    *before, last = exporters
    if before and kept_base is not None:
        with kept_base(before) as base:
            assert base is not None
            copy_files(base, folder)
    else:
        for exporter in before:
            exporter.run_export(subject, folder)
    last.run_export(subject, folder)
