"""The export of a variant: the files of its base's artifact, rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.backends.toolkit.runtime import Facts
from pytest_cpuaccel.core.backend import Subject

Finish = Callable[[Subject, Path], Facts]
"""Rewrites the files in a folder in place, and returns facts about the result."""


def rewrite(finish: Finish, subject: Subject, folder: Path) -> None:
    """Have ``finish`` rewrite the artifact in ``folder``, and add its facts to those of the route.

    Raises:
        BuildError, BackendUnavailableError, UsageError: as ``finish`` does.
    """
    from pytest_cpuaccel.backends.toolkit.export_metadata import Route
    from pytest_cpuaccel.backends.toolkit.upstream import silenced

    with silenced():
        proved = finish(subject, folder)
    route = Route.read(folder)
    replace(route, facts={**route.facts, **proved}).write(folder)
